/** `spec.scaling` of an Environment: when its pool grows and shrinks. Fission has no field for it. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { readBlockAnnotations, readNumber, withoutEmpty } from './block-annotations.ts';
import type { AnnotatedBlock } from './block-annotations.ts';
import { collect } from './checks.ts';
import type { Report } from './checks.ts';
import { DURATION_WORDS, parseSecondsOrDuration } from './duration.ts';
import type { ResolvedScaling } from './resolved.ts';
import { closed, intOrString } from './schema.ts';
import { createValidator } from './validate.ts';
import { MAX_DURATION_MS, MAX_DURATION_WORDS } from './wasm-settings.ts';

export const SCALING_ANNOTATION = 'fissium.io/scaling';

const DEFAULTS = {
  idlePercent: 20,
  queueThreshold: 50,
  maxPods: 1000,
  // A host has thousands of guests that wait; of a hello it answers this many at once within a tenth of a second.
  requestsPerHost: 500,
  idleTimeoutMs: 120_000,
} as const;

export const scalingBlockSchema = closed(
  {
    idlePercent: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 90,
        description: 'Share of the pool that is idle, at least; less starts more. Default 20; 0 for none.',
      }),
    ),
    queueThreshold: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'More waiting requests scale at once to what they need. Default 50.',
      }),
    ),
    maxPods: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Most pods of the environment in all. Default 1000.' }),
    ),
    requestsPerHost: Type.Optional(
      Type.Integer({
        minimum: 1,
        description:
          'Wasm: requests in flight that one host takes, by which its idle share is told. Default 500.',
      }),
    ),
    idleTimeout: Type.Optional(
      intOrString({
        description: 'How long pods that are no longer needed stay: seconds, or `2m`. Default 2m.',
      }),
    ),
  },
  { description: 'When the pool grows and shrinks; also as annotations `fissium.io/scaling-…`.' },
);

export type ScalingBlock = Static<typeof scalingBlockSchema>;

/** Checks of a block whose shape is right already; `path` is where it stands, '' for a block alone. */
export function checkScalingBlock(path: string, { idleTimeout }: ScalingBlock, report: Report): void {
  if (idleTimeout === undefined) return;
  const at = path === '' ? 'idleTimeout' : `${path}.idleTimeout`;
  const ms = parseSecondsOrDuration(idleTimeout);
  if (ms === null) report(at, `must be whole seconds or ${DURATION_WORDS}, but is "${idleTimeout}"`);
  else if (ms <= 0 || ms > MAX_DURATION_MS)
    report(at, `must be ${MAX_DURATION_WORDS}, but is "${idleTimeout}"`);
}

const validateBlock = createValidator<ScalingBlock>(scalingBlockSchema, (block) =>
  collect((report) => checkScalingBlock('', block, report)),
);

export function readScalingAnnotations(
  annotations: Readonly<Record<string, string>>,
): AnnotatedBlock<ScalingBlock> {
  return readBlockAnnotations<ScalingBlock>(annotations, {
    annotation: SCALING_ANNOTATION,
    field: 'spec.scaling',
    fields: {
      'idle-percent': { path: 'idlePercent', read: readNumber },
      'queue-threshold': { path: 'queueThreshold', read: readNumber },
      'max-pods': { path: 'maxPods', read: readNumber },
      'requests-per-host': { path: 'requestsPerHost', read: readNumber },
      'idle-timeout': { path: 'idleTimeout', read: String },
    },
    validate: validateBlock,
    merge: mergeBlocks,
    empty: {},
  });
}

function mergeBlocks(first: ScalingBlock, second: ScalingBlock): ScalingBlock {
  return { ...withoutEmpty(second), ...withoutEmpty(first) };
}

/** With the defaults; what the spec says counts before the annotations. */
export function resolveScaling(
  block: ScalingBlock | undefined,
  annotations: Readonly<Record<string, string>>,
): ResolvedScaling {
  const { idlePercent, queueThreshold, maxPods, requestsPerHost, idleTimeout } = mergeBlocks(
    block ?? {},
    readScalingAnnotations(annotations).block,
  );
  return {
    idlePercent: idlePercent ?? DEFAULTS.idlePercent,
    queueThreshold: queueThreshold ?? DEFAULTS.queueThreshold,
    maxPods: maxPods ?? DEFAULTS.maxPods,
    requestsPerHost: requestsPerHost ?? DEFAULTS.requestsPerHost,
    idleTimeoutMs:
      (idleTimeout === undefined ? null : parseSecondsOrDuration(idleTimeout)) ?? DEFAULTS.idleTimeoutMs,
  };
}
