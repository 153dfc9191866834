/** Reads the bytes of a package's archive. */
import type { Package } from '../api/index.ts';
import type { ArchiveSpec } from './archive.ts';
import type { Cluster } from './cluster.ts';
import { CliError } from './errors.ts';
import { download } from './storage.ts';

/** Writes an archive's bytes to `target`, piece by piece. */
export async function writeArchive(
  cluster: Cluster,
  pkg: Package,
  archive: ArchiveSpec | undefined,
  target: { raw(chunk: Uint8Array): void },
): Promise<void> {
  const { name } = pkg.metadata;
  if (archive?.oci !== undefined) {
    throw new CliError(`the code of package '${name}' is the OCI image ${archive.oci.image}`, {
      fix: 'fetch it with a registry tool',
    });
  }
  if (archive?.literal !== undefined && archive.literal !== '')
    target.raw(Buffer.from(archive.literal, 'base64'));
  else if (archive?.url) for await (const chunk of await download(cluster, archive.url)) target.raw(chunk);
  else throw new CliError(`package '${name}' has no such archive`);
}
