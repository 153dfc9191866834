/** Copies of a function for measuring first requests: the same package under another name, and deleted afterwards. */
import { randomBytes } from 'node:crypto';
import type { FissionFunction } from '../api/index.ts';
import { functionPath } from './bench-target.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { CliError } from './errors.ts';
import type { Output } from './output.ts';
import { waitReady } from './wait.ts';

const READY_WITHIN_MS = 60_000;
/** Found by it, should something end the CLI before it has cleaned up. */
const LABEL = 'fissium.io/bench';

export class BenchCopies {
  readonly #cluster: Cluster;
  readonly #out: Output;
  readonly #original: FissionFunction;
  readonly #internal: string;
  readonly #below: string;
  readonly #run = randomBytes(3).toString('hex');
  readonly #made: string[] = [];

  constructor(
    cluster: Cluster,
    out: Output,
    original: FissionFunction,
    internal: string,
    subpath: string | undefined,
  ) {
    this.#cluster = cluster;
    this.#out = out;
    this.#original = original;
    this.#internal = internal;
    this.#below = (subpath ?? '').replace(/^\/*/, '/').replace(/^\/$/, '');
  }

  /** Makes one, waits until the platform serves it, and resolves with its address. It has not been called yet. */
  async make(i: number): Promise<string> {
    const { apiVersion, kind, metadata, spec } = this.#original;
    const name = `${metadata.name.slice(0, 40)}-bench-${this.#run}-${i}`;
    const copy = {
      apiVersion,
      kind,
      metadata: { name, namespace: this.#cluster.namespace, labels: { [LABEL]: this.#run } },
      spec,
    };
    const created = await this.#cluster.client.create(RESOURCES.functions, copy);
    this.#made.push(name);
    const outcome = await waitReady(this.#cluster, RESOURCES.functions, created, {
      timeoutMs: READY_WITHIN_MS,
      out: this.#out,
      text: `waiting until '${name}' is served`,
    });
    if (outcome.type !== 'ready')
      throw new CliError(`the copy '${name}' is not served`, {
        why: 'message' in outcome ? outcome.message : 'somebody deleted it',
      });
    return this.#internal + functionPath(this.#cluster.namespace, name) + this.#below;
  }

  /** Deletes what was made; one that cannot be deleted is said, with how to find it. */
  async remove(): Promise<void> {
    const left: string[] = [];
    for (const name of this.#made.splice(0)) {
      await this.#cluster.remove(RESOURCES.functions, name).catch(() => left.push(name));
    }
    if (left.length > 0)
      this.#out.warn(
        `these copies could not be deleted: ${left.join(', ')}; later: kubectl delete functions.fission.io -l ${LABEL}=${this.#run}`,
      );
  }
}
