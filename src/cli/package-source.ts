/** The flags that say where a package's code is, and the Package made from them. */
import { randomUUID } from 'node:crypto';
import type { Package } from '../api/index.ts';
import {
  filesArchive,
  isUrl,
  singleFile,
  toArchiveSpec,
  urlArchive,
  type ArchiveSpec,
  type LocalArchive,
} from './archive.ts';
import { usageError, type CommandContext } from './command.ts';
import { flag, text, texts, withDefault, type OptionValues } from './options.ts';

export const sourceOptions = {
  code: text('code', 'The code: a .wasm file (or one source file), or a URL', { placeholder: 'file' }),
  deploy: texts('deployarchive', 'Files or folders of built code, zipped if several', {
    aliases: ['deploy'],
    split: true,
    placeholder: 'path',
  }),
  src: texts('sourcearchive', 'Files or folders of source code', {
    aliases: ['source', 'src'],
    split: true,
    placeholder: 'path',
  }),
  srcchecksum: text('srcchecksum', 'SHA-256 of a source archive given as URL', { placeholder: 'hex' }),
  deploychecksum: text('deploychecksum', 'SHA-256 of code given as URL', { placeholder: 'hex' }),
  insecure: withDefault(flag('insecure', 'Take code from a URL without a checksum'), false),
  oci: text('oci', 'OCI image that holds the code', { notServed: 'kept', placeholder: 'reference' }),
  buildcmd: text('buildcmd', 'Build command, instead of the environment’s', { placeholder: 'command' }),
};

export type SourceValues = OptionValues<typeof sourceOptions>;

/** Whether any flag names code. */
export function hasSource(values: SourceValues): boolean {
  return (
    values.code !== undefined ||
    values.deploy !== undefined ||
    values.src !== undefined ||
    values.oci !== undefined
  );
}

/** Refuses no code, and code in two places. */
export function checkSource(values: SourceValues): void {
  const given = [
    values.code === undefined ? '' : '--code',
    values.deploy === undefined ? '' : '--deployarchive',
    values.oci === undefined ? '' : '--oci',
  ].filter((name) => name !== '');
  if (given.length > 1) throw usageError(`${given.join(' and ')} both name the code: give one of them`);
  if (given.length === 0 && values.src === undefined) {
    throw usageError(
      'missing the code: give --code with a .wasm file, or --deployarchive, --sourcearchive, --oci',
    );
  }
}

/** The local files that the flags name, by where they stand in the spec. */
export interface LocalSources {
  readonly deployment?: LocalArchive;
  readonly source?: LocalArchive;
}

/** Reads the files that the flags name; nothing is sent yet. */
export async function localSources(values: SourceValues, cwd: string): Promise<LocalSources> {
  const deployment =
    values.code !== undefined && !isUrl(values.code)
      ? await singleFile(values.code, cwd)
      : values.deploy !== undefined && !isUrl(values.deploy[0] ?? '')
        ? await filesArchive(values.deploy, cwd)
        : undefined;
  const source =
    values.src !== undefined && !isUrl(values.src[0] ?? '') ? await filesArchive(values.src, cwd) : undefined;
  return { ...(deployment === undefined ? {} : { deployment }), ...(source === undefined ? {} : { source }) };
}

/** A Package's archives, uploaded where they are large. */
export async function archiveSpecs(
  context: CommandContext,
  values: SourceValues,
  local: LocalSources,
): Promise<Pick<Package['spec'], 'deployment' | 'source' | 'buildcmd'>> {
  const url = [values.code, values.deploy?.[0]].find((value) => value !== undefined && isUrl(value));
  const deployment: ArchiveSpec | undefined =
    local.deployment !== undefined
      ? await toArchiveSpec(context, local.deployment)
      : url !== undefined
        ? await urlArchive(context, url, values.deploychecksum, values.insecure)
        : values.oci !== undefined
          ? { type: 'oci', oci: { image: values.oci } }
          : undefined;
  const sourceUrl = values.src?.[0];
  const source: ArchiveSpec | undefined =
    local.source !== undefined
      ? await toArchiveSpec(context, local.source)
      : sourceUrl !== undefined
        ? await urlArchive(context, sourceUrl, values.srcchecksum, values.insecure)
        : undefined;
  return {
    ...(deployment === undefined ? {} : { deployment }),
    ...(source === undefined ? {} : { source }),
    ...(values.buildcmd === undefined ? {} : { buildcmd: values.buildcmd }),
  };
}

const UUID_LENGTH = 36;

/** `<function>-<uuid>`, cut to the 63 letters that a name may have, as Fission names a function's package. */
export function packageNameFor(functionName: string): string {
  return `${functionName.slice(0, 62 - UUID_LENGTH)}-${randomUUID()}`;
}

/** Whether a package's name says that `function create` made it for this function. */
export function isOwnPackage(packageName: string, functionName: string): boolean {
  const [, base] =
    /^(.+)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.exec(packageName) ?? [];
  return base === functionName.slice(0, 62 - UUID_LENGTH);
}
