/**
 * Finds and reads kubeconfigs. Parsing is client-node's own (its `config_types` module, 5 ms); what only needs
 * a token or a client certificate is then used as it stands, and everything else (exec plugins, auth providers,
 * proxies) goes through client-node's `KubeConfig`, whose import costs 300 to 500 ms that a CLI call
 * against the embedded API should not pay. A test holds the two ways together.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';

import type { Cluster, Context, User } from '@kubernetes/client-node/dist/config_types.js';

import { FissiumError } from '../errors.ts';
import { type Credentials, libraryCredentials, staticCredentials } from './credentials.ts';
import { inClusterConnection, SERVICE_ACCOUNT_FOLDER } from './in-cluster.ts';

/** Which API server to talk to, as whom. */
export interface KubeConnection {
  /** Base URL without a trailing slash; may have a path. */
  readonly server: string;
  /** The file (or files, or `in-cluster`) that this came from, for messages. */
  readonly source: string;
  readonly context: string;
  /** The context's namespace, if it names one. */
  readonly namespace: string | undefined;
  readonly credentials: Credentials;
}

export interface LoadOptions {
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** @default process.cwd() */
  readonly cwd?: string;
  /** @default the user's home directory */
  readonly home?: string;
  /** Another context of the file than its current one. */
  readonly context?: string;
  /**
   * Always use client-node's `KubeConfig` for authentication.
   * @default false
   */
  readonly useLibrary?: boolean;
}

interface RawConfig {
  clusters: Cluster[];
  contexts: Context[];
  users: User[];
  currentContext: string;
}

const SERVICE_ACCOUNT_TOKEN = `${SERVICE_ACCOUNT_FOLDER}/token`;

/**
 * The connection that a kubeconfig describes. Looked for in this order: `path`, `$KUBECONFIG` (several files
 * are merged, the first to name something wins), `./.fissium/kubeconfig`, `~/.kube/config`, the service account
 * of a pod. Fails with BAD_OPTION where none is found or the one found cannot be used.
 */
export async function loadKubeConfig(path?: string, options: LoadOptions = {}): Promise<KubeConnection> {
  const env = options.env ?? process.env;
  const found = findFiles(path, env, options.cwd ?? process.cwd(), options.home ?? homedir());
  if (found === 'in-cluster') return inClusterConnection(env);

  const { newClusters, newContexts, newUsers } = await import('@kubernetes/client-node/dist/config_types.js');
  const { parse } = await import('yaml');
  const source = found.join(delimiter);
  const merged: RawConfig = { clusters: [], contexts: [], users: [], currentContext: '' };
  for (const file of found) {
    try {
      const raw = (parse(readFileSync(file, 'utf8')) ?? {}) as Record<string, unknown>;
      const folder = dirname(resolve(file));
      addMissing(merged.clusters, newClusters(raw.clusters), (c) => absolute(c, ['caFile'], folder));
      addMissing(merged.users, newUsers(raw.users), (u) => absolute(u, ['certFile', 'keyFile'], folder));
      addMissing(merged.contexts, newContexts(raw.contexts), () => {});
      const current = raw['current-context'];
      if (merged.currentContext === '' && typeof current === 'string') merged.currentContext = current;
    } catch (error) {
      throw unusable(file, error instanceof Error ? error.message : String(error), error);
    }
  }
  return connect(merged, source, options);
}

function connect(config: RawConfig, source: string, options: LoadOptions): KubeConnection {
  const name = options.context ?? config.currentContext;
  if (name === '')
    throw unusable(source, 'it has no current-context; set one with `kubectl config use-context`');
  const context = config.contexts.find((c) => c.name === name);
  if (context === undefined) {
    throw unusable(source, `it has no context "${name}"; it has ${names(config.contexts)}`);
  }
  const cluster = config.clusters.find((c) => c.name === context.cluster);
  if (cluster === undefined) {
    throw unusable(
      source,
      `its context "${name}" names cluster "${context.cluster}"; it has ${names(config.clusters)}`,
    );
  }
  const user = config.users.find((u) => u.name === context.user);
  if (user === undefined) {
    throw unusable(
      source,
      `its context "${name}" names user "${context.user}"; it has ${names(config.users)}`,
    );
  }
  if (!/^https?:\/\//.test(cluster.server)) {
    throw unusable(
      source,
      `the server of cluster "${cluster.name}" is "${cluster.server}", not an http(s) URL`,
    );
  }
  const simple = options.useLibrary === true ? undefined : staticCredentials(cluster, user);
  return {
    server: cluster.server.replace(/\/+$/, ''),
    source,
    context: name,
    namespace: context.namespace,
    credentials: simple ?? libraryCredentials({ ...config, currentContext: name }),
  };
}

/** The connection that a kubeconfig with one CA and one token would describe, for whoever has both. */
export function tokenConnection(options: {
  readonly server: string;
  /** The kubeconfig that says the same, for messages. */
  readonly source: string;
  /** PEM. */
  readonly caCertificate: string;
  readonly token: string;
}): KubeConnection {
  const name = 'fissium';
  const { server, source, caCertificate, token } = options;
  const caData = Buffer.from(caCertificate).toString('base64');
  return connect(
    {
      clusters: [{ name, server, caData, skipTLSVerify: false }],
      users: [{ name, token }],
      contexts: [{ name, cluster: name, user: name, namespace: 'default' }],
      currentContext: name,
    },
    source,
    {},
  );
}

function findFiles(
  path: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
  home: string,
): string[] | 'in-cluster' {
  if (path !== undefined && path !== '') {
    const file = resolve(cwd, path);
    if (!existsSync(file)) {
      throw new FissiumError('BAD_OPTION', `The kubeconfig ${file} does not exist. ${HOW_TO_START}`);
    }
    return [file];
  }
  if (env.KUBECONFIG !== undefined && env.KUBECONFIG !== '') {
    const listed = env.KUBECONFIG.split(delimiter).filter((file) => file !== '');
    const existing = listed.map((file) => resolve(cwd, file)).filter((file) => existsSync(file));
    if (existing.length === 0) {
      throw new FissiumError(
        'BAD_OPTION',
        `$KUBECONFIG names ${listed.join(', ')}, which does not exist. Unset it or name another. ${HOW_TO_START}`,
      );
    }
    return existing;
  }
  const candidates = [join(cwd, '.fissium', 'kubeconfig'), join(home, '.kube', 'config')];
  const first = candidates.find((file) => existsSync(file));
  if (first !== undefined) return [first];
  if (env.KUBERNETES_SERVICE_HOST !== undefined && existsSync(SERVICE_ACCOUNT_TOKEN)) return 'in-cluster';
  throw new FissiumError(
    'BAD_OPTION',
    `No kubeconfig found: $KUBECONFIG is not set, and neither ${candidates.join(' nor ')} exists. ${HOW_TO_START}`,
  );
}

const HOW_TO_START =
  'Start the platform with `fissium up` and run this in the same folder, or name the kubeconfig that it printed with --kubeconfig.';

function unusable(file: string, why: string, cause?: unknown): FissiumError {
  return new FissiumError('BAD_OPTION', `The kubeconfig ${file} cannot be used: ${why}.`, { cause });
}

function names(list: readonly { name: string }[]): string {
  return list.length === 0 ? 'none' : list.map(({ name }) => `"${name}"`).join(', ');
}

function addMissing<T extends { name: string }>(
  into: T[],
  from: readonly T[],
  fix: (entry: T) => void,
): void {
  for (const entry of from) {
    if (into.some(({ name }) => name === entry.name)) continue;
    fix(entry);
    into.push(entry);
  }
}

function absolute<T>(entry: T, fields: readonly (keyof T)[], folder: string): void {
  for (const field of fields) {
    const value = entry[field];
    if (typeof value === 'string' && value !== '' && !isAbsolute(value)) {
      Object.assign(entry as object, { [field]: join(folder, value) });
    }
  }
}
