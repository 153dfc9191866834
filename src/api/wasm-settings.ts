/** `spec.wasm` and its annotations, read into one block of settings. */
import { readBlockAnnotations, readList, readNumber, withoutEmpty } from './block-annotations.ts';
import type { AnnotatedBlock } from './block-annotations.ts';
import { collect } from './checks.ts';
import type { Report } from './checks.ts';
import { DURATION_WORDS, parseSecondsOrDuration } from './duration.ts';
import { parseOutboundHost } from './outbound-host.ts';
import { QUANTITY_WORDS, parseBytes } from './quantity.ts';
import { createValidator } from './validate.ts';
import { wasmBlockSchema } from './wasm-block.ts';
import type { WasmBlock } from './wasm-block.ts';

/** The whole block as JSON. Fission's own CLI keeps annotations where it drops fields that it does not know. */
export const WASM_ANNOTATION = 'fissium.io/wasm';

/** Timers take 2^31 - 1 ms; more would fire at once. */
export const MAX_DURATION_MS = 24 * 24 * 3_600_000;
export const MAX_DURATION_WORDS = 'over 0 and 24 days (576h) at most';

/** One annotation a field: `fissium.io/wasm-<name>`. */
const FIELD_ANNOTATIONS: Readonly<Record<string, { path: string; read: (text: string) => unknown }>> = {
  'instance-mode': { path: 'instance.mode', read: String },
  'instance-max-requests': { path: 'instance.maxRequests', read: readNumber },
  'instance-idle-timeout': { path: 'instance.idleTimeout', read: String },
  'instance-max-concurrent': { path: 'instance.maxConcurrent', read: readNumber },
  'cpu-time': { path: 'cpuTime', read: String },
  queue: { path: 'queue', read: readNumber },
  'allowed-outbound-hosts': { path: 'allowedOutboundHosts', read: readList },
  'body-limit': { path: 'bodyLimit', read: String },
  'idle-timeout': { path: 'idleTimeout', read: String },
  'total-timeout': { path: 'totalTimeout', read: String },
};

/** Checks of a block whose shape is right already; `path` is where it stands. */
export function checkWasmBlock(path: string, block: WasmBlock, report: Report): void {
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const duration = (name: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    const ms = parseSecondsOrDuration(value);
    if (ms === null) report(at(name), `must be whole seconds or ${DURATION_WORDS}, but is "${value}"`);
    else if (ms <= 0 || ms > MAX_DURATION_MS)
      report(at(name), `must be ${MAX_DURATION_WORDS}, but is "${value}"`);
  };
  duration('cpuTime', block.cpuTime);
  duration('idleTimeout', block.idleTimeout);
  duration('totalTimeout', block.totalTimeout);
  duration('instance.idleTimeout', block.instance?.idleTimeout);
  if (block.bodyLimit !== undefined && parseBytes(block.bodyLimit) === null) {
    report(at('bodyLimit'), `must be ${QUANTITY_WORDS}, but is "${block.bodyLimit}"`);
  }
  (block.allowedOutboundHosts ?? []).forEach((entry, index) => {
    const read = parseOutboundHost(entry);
    if ('error' in read)
      report(at(`allowedOutboundHosts[${index}]`), `"${entry.slice(0, 80)}" ${read.error}`);
  });
}

const validateBlock = createValidator<WasmBlock>(wasmBlockSchema, (block) =>
  collect((report) => checkWasmBlock('', block, report)),
);

/** What the annotations say, the single ones before the JSON; with all that is wrong with them. */
export function readWasmAnnotations(
  annotations: Readonly<Record<string, string>>,
): AnnotatedBlock<WasmBlock> {
  return readBlockAnnotations<WasmBlock>(annotations, {
    annotation: WASM_ANNOTATION,
    field: 'spec.wasm',
    fields: FIELD_ANNOTATIONS,
    validate: validateBlock,
    merge: mergeWasmBlocks,
    empty: {},
  });
}

/** Each field from the first block that has it. */
export function mergeWasmBlocks(first: WasmBlock, second: WasmBlock): WasmBlock {
  const instance = { ...withoutEmpty(second.instance), ...withoutEmpty(first.instance) };
  return { ...withoutEmpty(second), ...withoutEmpty(first), instance };
}
