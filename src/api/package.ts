/** Package: the code, as an archive, built from source where it has one. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { checkMetadata, checkSameNamespace, collect } from './checks.ts';
import type { Report } from './checks.ts';
import { withoutNulls } from './defaults.ts';
import { interned } from './interned.ts';
import { deepFreeze } from './json.ts';
import { AGE_COLUMN, READY_COLUMN, REASON_COLUMN } from './kind.ts';
import type { KindDefinition } from './kind.ts';
import { namespaceOf, refuseInvalid, resolvedBase, setFields } from './resolve.ts';
import type { Archive, ResolvedPackage } from './resolved.ts';
import { raw, rules, textOf, whenSet } from './rules.ts';
import {
  choice,
  closed,
  conditionsSchema,
  dnsLabel,
  kindSchema,
  nullable,
  observedGenerationSchema,
} from './schema.ts';
import { createValidator } from './validate.ts';

/** Fission's limit on the bytes that a Package may hold itself. */
const LITERAL_LIMIT_BYTES = 256 * 1024;
/** base64 of the limit, with room for line breaks. */
const LITERAL_LIMIT_CHARACTERS = Math.ceil(Math.ceil(LITERAL_LIMIT_BYTES / 3) * 4 * 1.1);
const LITERAL_WORDS = 'must be 256 KiB at most; upload larger archives and give their url';

/** Line breaks are let through, as Go does. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The same for an API server, with line breaks anywhere. */
const BASE64_IN_LINES =
  '^[\\r\\n]*(([A-Za-z0-9+/][\\r\\n]*){4})*(([A-Za-z0-9+/][\\r\\n]*){2}(=[\\r\\n]*){2}|([A-Za-z0-9+/][\\r\\n]*){3}=[\\r\\n]*)?$';

const archiveSchema = (description: string) =>
  closed(
    {
      type: Type.Optional(
        choice(['', 'literal', 'url', 'oci'], { description: 'Where the bytes are; empty: the one given.' }),
      ),
      literal: Type.Optional(
        Type.String({
          contentEncoding: 'base64',
          description: 'The bytes themselves, base64, up to 256 KiB.',
          crd: { pattern: BASE64_IN_LINES },
        }),
      ),
      url: Type.Optional(Type.String({ maxLength: 8192, description: 'Where to fetch the bytes.' })),
      oci: Type.Optional(
        closed(
          {
            image: Type.String({ minLength: 1, maxLength: 1024, description: 'Image reference.' }),
            digest: Type.Optional(
              Type.String({ pattern: '^sha256:[a-f0-9]{64}$', description: 'Manifest that it must be.' }),
            ),
            subPath: Type.Optional(
              Type.String({ maxLength: 1024, description: 'Folder in the image, relative.' }),
            ),
            imagePullSecrets: Type.Optional(
              Type.Array(closed({ name: Type.Optional(Type.String({ default: '' })) }), {
                description: 'Secrets for pulling.',
              }),
            ),
          },
          {
            description: 'An OCI image that holds the files.',
            ...rules(
              [
                `${textOf('digest')} == '' || !self.image.contains('@')`,
                'must not be given twice; the image names a digest already',
                '.digest',
              ],
              [
                whenSet('subPath', `!self.subPath.matches(${raw('^/+[^/]|//+[^/]|(^|/)[.][.]?(/|$)')})`),
                'must be a relative folder without "." and ".."',
                '.subPath',
              ],
            ),
          },
        ),
      ),
      checksum: Type.Optional(
        closed(
          {
            type: Type.Optional(Type.String({ description: '`sha256`.' })),
            sum: Type.Optional(Type.String({ maxLength: 64, description: '64 hex digits.' })),
          },
          {
            description: 'What the bytes must hash to.',
            ...rules(
              [
                `${textOf('type')} == 'sha256' || (${textOf('type')} == '' && ${textOf('sum')} == '')`,
                'must be sha256',
                '.type',
              ],
              [
                `${textOf('sum')} == '' || self.sum.matches('^[0-9A-Fa-f]{64}$')`,
                'must be the 64 hex digits of a sha256',
                '.sum',
              ],
            ),
          },
        ),
      ),
    },
    {
      description,
      ...rules(
        [
          "[self.?literal.orValue('') != '', self.?url.orValue('') != '', has(self.oci)].filter(given, given).size() <= 1",
          'must have one of literal, url and oci',
        ],
        [`self.?literal.orValue('').size() <= ${LITERAL_LIMIT_CHARACTERS}`, LITERAL_WORDS, '.literal'],
        [`${textOf('type')} != 'oci' || has(self.oci)`, 'is required where the type is oci', '.oci'],
        [
          `${textOf('url')} == '' || self.url.matches(${raw('^[A-Za-z][A-Za-z0-9+.-]*://[^/]')})`,
          'must be an absolute URL',
          '.url',
        ],
      ),
    },
  );

const specSchema = closed(
  {
    environment: closed(
      {
        name: Type.Optional(dnsLabel('The Environment.')),
        namespace: Type.Optional(Type.String({ description: "Only the package's own." })),
      },
      {
        description: 'What the code is for.',
        ...rules([`${textOf('name')} != ''`, 'is required: what the code is for', '.name']),
      },
    ),
    source: Type.Optional(archiveSchema('What is built, if anything.')),
    deployment: Type.Optional(archiveSchema('What runs: a .wasm, a file or a zip.')),
    buildcmd: Type.Optional(Type.String({ description: "Build command instead of the environment's." })),
  },
  {
    description: 'Where the code is.',
    ...rules(['!has(self.source) || !has(self.source.oci)', 'is for the deployment archive only', '.source']),
  },
);

const statusSchema = closed(
  {
    buildstatus: Type.Optional(
      choice(['', 'pending', 'running', 'succeeded', 'failed', 'none'], {
        default: 'pending',
        description: 'Where the build stands; `none`: nothing to build.',
      }),
    ),
    buildlog: Type.Optional(Type.String({ description: 'What the build or the preparation said.' })),
    contentHash: Type.Optional(Type.String({ description: 'Names the content that the status speaks of.' })),
    lastUpdateTimestamp: Type.Optional(
      nullable(Type.String({ format: 'date-time', description: 'When the content last changed.' })),
    ),
    observedGeneration: Type.Optional(observedGenerationSchema),
    conditions: Type.Optional(conditionsSchema),
  },
  { description: 'Observed state.' },
);

export const packageSchema = kindSchema(
  'Package',
  'The code of one or more functions.',
  specSchema,
  statusSchema,
);

export type Package = Static<typeof packageSchema>;
type ArchiveSpec = NonNullable<Package['spec']['deployment']>;

function checkPackage({ metadata, spec }: Package, report: Report): void {
  checkMetadata(metadata, report);
  if ((spec.environment.name ?? '') === '')
    report('spec.environment.name', 'is required: what the code is for');
  checkSameNamespace('spec.environment.namespace', spec.environment.namespace, metadata.namespace, report);
  checkArchive('spec.source', spec.source ?? {}, report);
  checkArchive('spec.deployment', spec.deployment ?? {}, report);
  if (spec.source?.oci !== undefined) report('spec.source.oci', 'is for the deployment archive only');
}

function checkArchive(path: string, archive: ArchiveSpec, report: Report): void {
  const { type = '', literal = '', url = '', oci, checksum = {} } = archive;
  const given = [literal !== '' && 'literal', url !== '' && 'url', oci !== undefined && 'oci'].filter(
    (name) => name !== false,
  );
  if (given.length > 1) report(path, `must have one of literal, url and oci, but has ${given.join(' and ')}`);
  if (type === 'oci' && oci === undefined) report(`${path}.oci`, 'is required where the type is oci');
  if (literal !== '') checkLiteral(`${path}.literal`, literal, report);
  if (url !== '' && !/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(url)) {
    report(`${path}.url`, `must be an absolute URL, but is "${url}"`);
  }
  if (oci !== undefined) checkOci(`${path}.oci`, oci, report);
  const { type: sumType = '', sum = '' } = checksum;
  if (sumType !== 'sha256' && (sumType !== '' || sum !== '')) {
    report(`${path}.checksum.type`, `must be sha256, but is "${sumType}"`);
  }
  if (sum !== '' && !/^[0-9a-f]{64}$/i.test(sum)) {
    report(`${path}.checksum.sum`, `must be the 64 hex digits of a sha256, but is "${sum.slice(0, 80)}"`);
  }
}

function checkLiteral(path: string, literal: string, report: Report): void {
  if (literal.length > LITERAL_LIMIT_CHARACTERS) return report(path, LITERAL_WORDS);
  const bytes = decodeBase64(literal);
  if (bytes === null) report(path, 'must be base64 (RFC 4648, section 4)');
  else if (bytes.byteLength > LITERAL_LIMIT_BYTES)
    report(path, `${LITERAL_WORDS}; this one has ${bytes.byteLength} bytes`);
}

/** The bytes, or null where the text is no base64. */
function decodeBase64(text: string): Uint8Array | null {
  const compact = text.replace(/[\r\n]/g, '');
  if (compact.length % 4 !== 0 || !BASE64.test(compact)) return null;
  return Uint8Array.from(Buffer.from(compact, 'base64'));
}

function checkOci(path: string, oci: NonNullable<ArchiveSpec['oci']>, report: Report): void {
  const { image, digest = '', subPath = '' } = oci;
  if (digest !== '' && image.includes('@')) {
    report(`${path}.digest`, 'must not be given twice; the image names a digest already');
  }
  const inner = subPath.replace(/\/+$/, '');
  if (inner !== '' && inner.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    report(`${path}.subPath`, `must be a relative folder without "." and "..", but is "${subPath}"`);
  }
}

const validate = createValidator<Package>(packageSchema, (object) =>
  collect((report) => checkPackage(object, report)),
);

export const packageKind: KindDefinition = {
  kind: 'Package',
  plural: 'packages',
  singular: 'package',
  shortNames: ['pkg'],
  listKind: 'PackageList',
  schema: packageSchema,
  printerColumns: [
    { name: 'Environment', type: 'string', jsonPath: '.spec.environment.name' },
    {
      name: 'Build',
      type: 'string',
      jsonPath: '.status.buildstatus',
      description: 'Where the build stands.',
    },
    READY_COLUMN,
    REASON_COLUMN,
    { name: 'Updated', type: 'date', jsonPath: '.status.lastUpdateTimestamp', priority: 1 },
    AGE_COLUMN,
  ],
  validate,
  validateUpdate: () => [],
};

/**
 * The package with its archives' bytes, frozen (the bytes cannot be).
 * @throws FissiumError RESOURCE_INVALID where the object would not have been accepted.
 */
export function resolvePackage(pkg: Package): ResolvedPackage {
  refuseInvalid('Package', pkg, validate(pkg));
  // Accepted, so without its nulls it has the type of the schema.
  const object = withoutNulls(packageSchema, pkg) as Package;
  const { spec, status } = object;
  const buildStatus = status?.buildstatus ?? '';
  return deepFreeze({
    ...resolvedBase(object),
    environment: interned({ namespace: namespaceOf(object.metadata), name: spec.environment.name ?? '' }),
    source: resolveArchive(spec.source),
    deployment: resolveArchive(spec.deployment),
    buildCommand: spec.buildcmd ?? '',
    buildStatus: buildStatus === '' ? 'pending' : buildStatus,
    notServed: interned(
      setFields({
        'spec.deployment.oci': spec.deployment?.oci,
      }),
    ),
  });
}

/** By what is given: `type` says the same where it is set at all. */
function resolveArchive(archive: ArchiveSpec | undefined): Archive | null {
  const { literal = '', url = '', oci, checksum } = archive ?? {};
  const sum = checksum?.sum ?? '';
  const check = sum === '' ? {} : { checksum: { type: 'sha256' as const, sum: sum.toLowerCase() } };
  if (literal !== '')
    return { type: 'literal', literal: decodeBase64(literal) ?? new Uint8Array(), ...check };
  if (url !== '') return { type: 'url', url, ...check };
  if (oci === undefined) return null;
  const imagePullSecrets = (oci.imagePullSecrets ?? [])
    .map(({ name = '' }) => name)
    .filter((name) => name !== '');
  const { image, digest, subPath } = oci;
  return { type: 'oci', oci: { image, digest, subPath, imagePullSecrets }, ...check };
}
