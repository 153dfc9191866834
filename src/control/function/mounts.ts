/** The secrets and config maps of `spec.secrets` and `spec.configmaps`: as files where Fission's fetcher puts them, and as configuration. */
import { packFiles, type FileToPack } from '../../../runtimes/wasm/wasi/filesystem/file-set.ts';
import type { ResolvedFunction, ResolvedMount } from '../../api/index.ts';
import type { ConfigMap, KubeObject, Secret } from '../../kube/index.ts';
import type { GuestFileSet } from '../ports.ts';
import type { GrantSources } from './grants.ts';

const MIB = 1024 * 1024;
/** All of one function together; each object has 1 MiB at most (Kubernetes' limit). */
const MOUNTS_LIMIT_BYTES = 64 * MIB;

export type FileToMount = FileToPack;

export type MountsResult =
  | { readonly ok: true; readonly files: GuestFileSet | null }
  | { readonly ok: false; readonly reason: string; readonly message: string };

/**
 * `/secrets/<namespace>/<name>/<key>` and `/configs/<namespace>/<name>/<key>`, or, as in
 * Fission, `/secrets/<mountPath>/<key>` where there is one; objects that are missing are left out.
 */
export function mountedFiles(fn: ResolvedFunction, sources: GrantSources): MountsResult {
  const files = filesToMount(fn, sources);
  const totalBytes = files.reduce((sum, { content }) => sum + content.byteLength, 0);
  if (totalBytes > MOUNTS_LIMIT_BYTES) {
    return {
      ok: false,
      reason: 'MountsTooLarge',
      message: `The function's secrets and config maps have ${Math.ceil(totalBytes / MIB)} MiB together; ${MOUNTS_LIMIT_BYTES / MIB} MiB are allowed, because they are held in memory. Name fewer of them.`,
    };
  }
  return { ok: true, files: packFiles(files) };
}

/** The files themselves, each below `secrets` or `configs`. */
export function filesToMount(fn: ResolvedFunction, sources: GrantSources): FileToMount[] {
  const files: FileToPack[] = [];
  for (const mount of fn.secrets) {
    const secret = sources.secret(mount);
    if (secret) files.push(...filesOf('secrets', mount, secret, decoded(secret.data)));
  }
  for (const mount of fn.configMaps) {
    const configMap = sources.configMap(mount);
    if (configMap) files.push(...filesOf('configs', mount, configMap, contentsOf(configMap)));
  }
  return files;
}

/** What `wasi:config/store` gives: the text values of the config maps, in the order in which they are named. */
export function configOf(fn: ResolvedFunction, sources: GrantSources): [string, string][] {
  return fn.configMaps.flatMap((name) => Object.entries(sources.configMap(name)?.data ?? {}));
}

function filesOf(
  kind: 'secrets' | 'configs',
  mount: ResolvedMount,
  { metadata }: KubeObject,
  contents: Iterable<readonly [key: string, content: Uint8Array]>,
): FileToPack[] {
  const modifiedMs = Date.parse(String(metadata.creationTimestamp ?? '')) || 0;
  const folder = `${kind}/${mount.folder}`;
  const files: FileToPack[] = [];
  for (const [key, content] of contents) {
    if (isFileName(key)) files.push({ path: `${folder}/${key}`, content, modifiedMs });
  }
  return files;
}

function* contentsOf({ data, binaryData }: ConfigMap): Generator<readonly [string, Uint8Array]> {
  for (const [key, text] of Object.entries(data ?? {})) yield [key, Buffer.from(text)];
  yield* decoded(binaryData);
}

function* decoded(values: Secret['data']): Generator<readonly [string, Uint8Array]> {
  for (const [key, value] of Object.entries(values ?? {})) yield [key, Buffer.from(value, 'base64')];
}

/** Kubernetes' rule for keys, which an API server holds them to already. */
function isFileName(key: string): boolean {
  return /^[-._a-zA-Z0-9]{1,253}$/.test(key) && key !== '.' && key !== '..';
}
