/**
 * The connection of a pod's service account, without client-node, whose import takes longer than most of what a
 * pod's parts do at their start.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';

import { FissiumError } from '../errors.ts';
import type { KubeConnection } from './kube-config.ts';

/** Where the kubelet puts the account's token, the API server's CA and the pod's namespace. */
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The kubelet exchanges a token well before it expires, an hour after it was made. */
const TOKEN_LIFE_MS = 60_000;

/** @throws FissiumError BAD_OPTION where this is no pod with a service account */
export function inClusterConnection(
  env: Readonly<Record<string, string | undefined>> = process.env,
  folder = SERVICE_ACCOUNT_FOLDER,
): KubeConnection {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host === '') {
    throw new FissiumError('BAD_OPTION', 'This is no pod: KUBERNETES_SERVICE_HOST is not set.');
  }
  let ca: Buffer;
  try {
    ca = readFileSync(join(folder, 'ca.crt'));
  } catch (cause) {
    throw new FissiumError('BAD_OPTION', `The pod has no service account: ${(cause as Error).message}.`, {
      cause,
    });
  }
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: 30_000, ca });
  let token = { text: '', untilMs: 0 };
  const authorization = async (): Promise<string> => {
    const nowMs = Date.now();
    if (nowMs >= token.untilMs) {
      const text = (await readFile(join(folder, 'token'), 'utf8')).trim();
      token = { text, untilMs: nowMs + TOKEN_LIFE_MS };
    }
    return `Bearer ${token.text}`;
  };
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    source: 'in-cluster',
    context: 'inClusterContext',
    namespace: readNamespace(folder),
    credentials: {
      next: async () => ({ headers: { authorization: await authorization() }, agent }),
      close: () => agent.destroy(),
    },
  };
}

function readNamespace(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'namespace'), 'utf8').trim();
  } catch {
    return undefined;
  }
}
