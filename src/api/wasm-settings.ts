/** `spec.wasm` and its annotations, read into one block of settings. */
import { collect } from './checks.ts';
import type { Report } from './checks.ts';
import { DURATION_WORDS, parseSecondsOrDuration } from './duration.ts';
import type { FieldError } from './kind.ts';
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

/** Text that is no number stays text, which the schema then refuses. */
function readNumber(text: string): string | number {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

function readList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

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
export function readWasmAnnotations(annotations: Readonly<Record<string, string>>): {
  block: WasmBlock;
  errors: FieldError[];
} {
  const json = readJsonAnnotation(annotations[WASM_ANNOTATION]);
  const single = readFieldAnnotations(annotations);
  return { block: mergeWasmBlocks(single.block, json.block), errors: [...json.errors, ...single.errors] };
}

function readJsonAnnotation(text: string | undefined): { block: WasmBlock; errors: FieldError[] } {
  if (text === undefined) return { block: {}, errors: [] };
  const path = `metadata.annotations[${WASM_ANNOTATION}]`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { block: {}, errors: [{ path, message: `must be JSON like spec.wasm: ${reason}` }] };
  }
  // An unknown field here cannot be dropped with a warning: the annotation is one value.
  const errors = validateBlock(value).map(({ path: inner, message }) => ({
    path: inner === '' ? path : `${path}.${inner}`,
    message,
  }));
  // Without errors it has the type of the schema.
  return { block: errors.length === 0 ? (value as WasmBlock) : {}, errors };
}

function readFieldAnnotations(annotations: Readonly<Record<string, string>>): {
  block: WasmBlock;
  errors: FieldError[];
} {
  const errors: FieldError[] = [];
  let block: WasmBlock = {};
  for (const [name, text] of Object.entries(annotations)) {
    if (!name.startsWith(`${WASM_ANNOTATION}-`)) continue;
    const path = `metadata.annotations[${name}]`;
    const suffix = name.slice(WASM_ANNOTATION.length + 1);
    const field = Object.hasOwn(FIELD_ANNOTATIONS, suffix) ? FIELD_ANNOTATIONS[suffix] : undefined;
    if (field === undefined) {
      const known = Object.keys(FIELD_ANNOTATIONS).map((other) => `${WASM_ANNOTATION}-${other}`);
      errors.push({ path, message: `is not known; there are ${known.join(', ')}` });
      continue;
    }
    const [outer = '', inner] = field.path.split('.');
    const value = field.read(text);
    const part: unknown = { [outer]: inner === undefined ? value : { [inner]: value } };
    const found = validateBlock(part);
    errors.push(...found.map(({ message }) => ({ path, message })));
    // Without errors it has the type of the schema.
    if (found.length === 0) block = mergeWasmBlocks(block, part as WasmBlock);
  }
  return { block, errors };
}

/** Each field from the first block that has it. */
export function mergeWasmBlocks(first: WasmBlock, second: WasmBlock): WasmBlock {
  const instance = { ...withoutEmpty(second.instance), ...withoutEmpty(first.instance) };
  return { ...withoutEmpty(second), ...withoutEmpty(first), instance };
}

function withoutEmpty<T extends object>(object: T | undefined): Partial<T> {
  const entries = Object.entries(object ?? {}).filter(([, value]) => value !== undefined && value !== null);
  // Fewer of the same entries.
  return Object.fromEntries(entries) as Partial<T>;
}
