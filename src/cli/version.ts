/** `fissium version`: the versions of this CLI and of the platform. */
import { clientVersion } from './client-version.ts';
import { defineCommand } from './command.ts';
import { messageOf } from './errors.ts';
import { flag, text, withDefault } from './options.ts';
import type { Cluster } from './cluster.ts';

const TIMEOUT_MS = 5000;

/** What the router answers to `/_version`. */
export interface ServerInfo {
  /** What runs there; not in the answer of Fission's own router. */
  readonly Fissium?: { readonly Version?: string };
  /** The Fission whose API it serves. */
  readonly Build?: { readonly Version?: string; readonly GitCommit?: string; readonly BuildDate?: string };
  readonly ServerTime?: { readonly CurrentTime?: string };
}

export const version = defineCommand({
  name: 'version',
  summary: 'Show the versions of this CLI and of the platform',
  options: {
    client: withDefault(
      flag('client-only', 'Only this CLI’s: nothing is asked', { aliases: ['client'] }),
      false,
    ),
    output: text('output', 'Output format', { short: 'o', choices: ['json', 'yaml'] }),
  },
  async handler({ client, output }, { connect, out }) {
    const versions: Record<string, unknown> = {
      client: { 'fissium/core': { Version: clientVersion(), Node: process.version } },
    };
    let failure: unknown;
    if (!client) {
      try {
        const { Build, Fissium } = await serverInfo(await connect());
        versions.server = { 'fissium/core': Fissium ?? {}, 'fission/core': { Version: Build?.Version } };
      } catch (error) {
        failure = error;
      }
    }
    if (output === 'json') out.json(versions);
    else await out.yaml(versions);
    if (failure === undefined) return 0;
    out.warn(`the platform’s version is not known: ${messageOf(failure)}`);
    return 1;
  },
});

/** The router's own description. Rejects when it does not answer. */
export async function serverInfo(cluster: Cluster): Promise<ServerInfo> {
  const answer = await cluster.service('router', '/_version', { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (answer.status >= 300) throw new Error(`the router answered ${answer.status} to /_version`);
  return answer.json<ServerInfo>();
}
