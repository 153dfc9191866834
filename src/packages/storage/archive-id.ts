/** The ids of archives in a storage service, ours and Fission's. */

/** Fission's mark before the namespace that owns an archive; no namespace can have that name. */
export const TENANT_MARK = '_tenant_';

/** An archive's id: `DIGEST`, or `_tenant_/NAMESPACE/DIGEST` where it belongs to a tenant. */
export interface ArchiveId {
  /** '' where it belongs to no tenant. */
  readonly namespace: string;
  /** sha256 of the content, or the uuid that Fission's storage service named it by. */
  readonly name: string;
}

const NAME = /^(?:[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/**
 * Reads an id; null where it is none. Fission's own begin with the folder that its service was told to use
 * (`/fission/fission-functions/UUID`), which says nothing here.
 */
export function parseArchiveId(text: string): ArchiveId | null {
  const parts = text.split('/');
  if (parts.includes('..')) return null;
  const name = parts.at(-1) ?? '';
  if (!NAME.test(name)) return null;
  const mark = parts.indexOf(TENANT_MARK);
  if (mark === -1) return { namespace: '', name };
  const namespace = parts[mark + 1] ?? '';
  return mark === parts.length - 3 && NAMESPACE.test(namespace) ? { namespace, name } : null;
}

export function formatArchiveId({ namespace, name }: ArchiveId): string {
  return namespace === '' ? name : `${TENANT_MARK}/${namespace}/${name}`;
}

/** Whether a name is the sha256 of the content. */
export function isDigest(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/** The id that a URL of a storage service asks for, whatever its host is; null for other URLs. */
export function archiveIdOf(url: string): ArchiveId | null {
  const parsed = URL.parse(url);
  if (parsed === null || !/\/v1\/archives?$/.test(parsed.pathname)) return null;
  const id = parsed.searchParams.get('id');
  return id === null ? null : parseArchiveId(id);
}
