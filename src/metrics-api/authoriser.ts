import { type KubeClient, RESOURCES } from '../kube/index.ts';
import type { User } from './front-proxy.ts';

/** What somebody wants to do, as RBAC has it. */
export interface Access {
  readonly resource: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

interface ReviewAnswer {
  readonly status?: { readonly allowed?: boolean };
}

/** Whom Kubernetes lets do anything before it asks anybody. */
const MASTERS = 'system:masters';
const KEPT_MS = 10_000;
const KEPT_MAX = 1000;

/** Asks the API server whether a user may (SubjectAccessReview), and remembers the answer for ten seconds. */
export class Authoriser {
  readonly #client: KubeClient;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly allowed: boolean; readonly untilMs: number }>();

  constructor(client: KubeClient, now: () => number = () => performance.now()) {
    this.#client = client;
    this.#now = now;
  }

  /** Rejects where the API server does not answer. */
  async allows({ name, groups, extra }: User, access: Access): Promise<boolean> {
    const { resource, group, version, namespace, name: object, subresource } = access;
    if (groups.includes(MASTERS)) return true;
    const spec = {
      user: name,
      groups,
      extra,
      resourceAttributes: { group, version, namespace, resource, name: object, subresource, verb: 'get' },
    };
    const key = JSON.stringify(spec);
    const known = this.#answers.get(key);
    if (known !== undefined && known.untilMs > this.#now()) return known.allowed;
    const { status } = await this.#client.review<ReviewAnswer>(RESOURCES.subjectaccessreviews, spec);
    const allowed = status?.allowed === true;
    this.#remember(key, allowed);
    return allowed;
  }

  #remember(key: string, allowed: boolean): void {
    this.#answers.delete(key);
    this.#answers.set(key, { allowed, untilMs: this.#now() + KEPT_MS });
    if (this.#answers.size <= KEPT_MAX) return;
    const oldest = this.#answers.keys().next();
    if (oldest.done !== true) this.#answers.delete(oldest.value);
  }
}
