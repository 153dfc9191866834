/** What Packages say of archives in a storage service. */
import type { Package } from '../../api/index.ts';
import { type KubeClient, RESOURCES } from '../../kube/index.ts';
import { type ArchiveId, archiveIdOf, formatArchiveId, isDigest } from './archive-id.ts';

/** Packages come with their literals: a page of 500 could have 175 MB. */
const PAGE_SIZE = 50;

/** The ids and digests that a Package names, whether it is valid or not. */
export function archivesNamedBy({ spec, status }: Package): string[] {
  const names: string[] = [];
  for (const archive of [spec.source, spec.deployment]) {
    const id = archiveIdOf(archive?.url ?? '');
    if (id !== null) names.push(formatArchiveId(id));
    const sum = archive?.checksum?.sum?.toLowerCase() ?? '';
    if (isDigest(sum)) names.push(sum);
  }
  const hash = status?.contentHash ?? '';
  if (isDigest(hash)) names.push(hash);
  return names;
}

/** Everything that Packages name now. @throws where the API does not answer */
export async function listNamedArchives(
  client: KubeClient,
  namespaces: readonly string[] | undefined,
): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const pkg of allPackages(client, namespaces)) {
    for (const name of archivesNamedBy(pkg)) names.add(name);
  }
  return names;
}

/** The Packages (`namespace/name`) that name an archive now. @throws where the API does not answer */
export async function listUsersOf(
  client: KubeClient,
  namespaces: readonly string[] | undefined,
  id: ArchiveId,
): Promise<string[]> {
  const wanted = [formatArchiveId(id), id.name];
  const users: string[] = [];
  for await (const pkg of allPackages(client, namespaces)) {
    const isUser = archivesNamedBy(pkg).some((name) => wanted.includes(name));
    if (isUser) users.push(`${pkg.metadata.namespace}/${pkg.metadata.name}`);
  }
  return users;
}

async function* allPackages(
  client: KubeClient,
  namespaces: readonly string[] | undefined,
): AsyncIterable<Package> {
  for (const namespace of namespaces ?? [undefined]) {
    for await (const page of client.listPages<Package>(RESOURCES.packages, namespace, { limit: PAGE_SIZE })) {
      yield* page.items;
    }
  }
}
