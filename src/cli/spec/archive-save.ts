/** A package's files for `create --spec`: named by ArchiveUploadSpecs, read when the specification is applied. */
import { relative, resolve } from 'node:path';
import type { Package } from '../../api/index.ts';
import { archiveName, isUrl, urlArchive, type ArchiveSpec } from '../archive.ts';
import type { CommandContext } from '../command.ts';
import { CliError } from '../errors.ts';
import type { SourceValues } from '../package-source.ts';
import { ARCHIVE_SCHEME } from './names.ts';

interface ArchiveUploadSpec {
  readonly apiVersion: 'fission.io/v1';
  readonly kind: 'ArchiveUploadSpec';
  readonly name: string;
  readonly include: readonly string[];
}

/** The archives of the Package, and the ArchiveUploadSpecs that they refer to. */
export async function specArchives(
  context: CommandContext,
  values: SourceValues,
): Promise<{
  archives: Pick<Package['spec'], 'deployment' | 'source' | 'buildcmd'>;
  uploads: ArchiveUploadSpec[];
}> {
  const uploads: ArchiveUploadSpec[] = [];
  const archive = async (
    paths: readonly string[] | undefined,
    checksum: string | undefined,
  ): Promise<ArchiveSpec | undefined> => {
    const [first] = paths ?? [];
    if (paths === undefined || first === undefined) return undefined;
    if (isUrl(first)) return urlArchive(context, first, checksum, values.insecure);
    const include = paths.map((path) => belowFolder(context.io.cwd, path));
    const name = archiveName(include);
    uploads.push({ apiVersion: 'fission.io/v1', kind: 'ArchiveUploadSpec', name, include });
    return { type: 'url', url: `${ARCHIVE_SCHEME}${name}` };
  };
  const deployment =
    values.oci === undefined
      ? await archive(values.code === undefined ? values.deploy : [values.code], values.deploychecksum)
      : { type: 'oci' as const, oci: { image: values.oci } };
  const source = await archive(values.src, values.srcchecksum);
  return {
    archives: {
      ...(deployment === undefined ? {} : { deployment }),
      ...(source === undefined ? {} : { source }),
      ...(values.buildcmd === undefined ? {} : { buildcmd: values.buildcmd }),
    },
    uploads,
  };
}

/** The path as the specification has it: relative to the folder that the specs folder is in. */
function belowFolder(root: string, path: string): string {
  const below = relative(root, resolve(root, path));
  if (!below.startsWith('..')) return below;
  throw new CliError(`${path} is outside of ${root}`, {
    why: 'a specification names files relative to the folder that the specs folder is in',
  });
}
