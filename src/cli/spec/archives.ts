/** The archives of a specification: made from local files, and sent only if the cluster has not got them. */
import { resolve } from 'node:path';
import type { Package } from '../../api/index.ts';
import { filesArchive, LITERAL_LIMIT_BYTES, toArchiveSpec, type ArchiveSpec } from '../archive.ts';
import type { CommandContext } from '../command.ts';
import { CliError } from '../errors.ts';
import type { ArchiveUpload, SpecSet } from './load.ts';

/**
 * The archive that each `archive://name` stands for. Files of which a Package in `existing` has the checksum are
 * not uploaded again; nothing is uploaded in a dry run.
 */
export async function resolveArchives(
  context: CommandContext,
  set: SpecSet,
  existing: readonly Package[],
  dryRun: boolean,
): Promise<Map<string, ArchiveSpec>> {
  const byChecksum = new Map<string, ArchiveSpec>();
  for (const { spec } of existing) {
    for (const archive of [spec.deployment, spec.source]) {
      if (archive?.url && archive.checksum?.sum) byChecksum.set(archive.checksum.sum, archive);
    }
  }
  const result = new Map<string, ArchiveSpec>();
  for (const upload of set.archives) {
    const local = await archiveOf(upload, set.folder);
    try {
      const known = byChecksum.get(local.sha256);
      const isLarge = local.bytes >= LITERAL_LIMIT_BYTES;
      if (isLarge && known !== undefined) {
        context.out.debug(`archive ${upload.name} is there already`);
        result.set(upload.name, known);
      } else if (isLarge && dryRun) {
        context.out.line(`would upload archive ${upload.name}`);
        result.set(upload.name, {
          type: 'url',
          url: 'http://storage/not-uploaded',
          checksum: { type: 'sha256', sum: local.sha256 },
        });
      } else {
        if (isLarge) context.out.line(`uploading archive ${upload.name}`);
        const archive = await toArchiveSpec(context, local);
        byChecksum.set(local.sha256, archive);
        result.set(upload.name, archive);
      }
    } finally {
      await local.dispose();
    }
  }
  return result;
}

async function archiveOf(upload: ArchiveUpload, folder: string) {
  try {
    return await filesArchive(upload.include, rootOf(upload, folder), upload.exclude);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    throw new CliError(`${upload.location}: archive "${upload.name}": ${error.message}`, {
      ...(error.why === undefined ? {} : { why: error.why }),
      cause: error,
    });
  }
}

/** The folder that an archive's patterns are relative to: by default the one that the specs folder is in. */
export function rootOf(upload: ArchiveUpload, folder: string): string {
  const parent = resolve(folder, '..');
  return upload.rootDir === undefined ? parent : resolve(parent, upload.rootDir);
}
