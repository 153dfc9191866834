/** `wasi:http/types.fields`. Names are kept in lower case; values are bytes, which Node knows as latin1. */
import type { HeaderList } from '../../../../src/executors/executor.ts';
import { FIELD_ENTRIES_CAP, FIELD_TEXT_WEIGHT, FIELD_WEIGHT, FIELDS_BYTES_CAP } from '../limits.ts';
import { shortAscii } from '../../short-text.ts';
import { Resource } from '../resource.ts';
import { err, ok, type Result } from '../result.ts';
import type { GuestState } from '../state.ts';
import { isFieldValue, isForbidden, isToken } from './field-rules.ts';

export type HeaderError = { readonly tag: 'invalid-syntax' | 'forbidden' | 'immutable' };
type Entry = readonly [name: string, value: Uint8Array];

const INVALID_SYNTAX: HeaderError = { tag: 'invalid-syntax' };
const FORBIDDEN: HeaderError = { tag: 'forbidden' };
const IMMUTABLE: HeaderError = { tag: 'immutable' };

/** What the host spends on fields that it keeps as strings. */
export function weightOfText(headers: HeaderList): number {
  let bytes = headers.length * FIELD_TEXT_WEIGHT;
  for (const [name, value] of headers) bytes += name.length + value.length;
  return bytes;
}

/** The fields themselves; a message and the `fields` that a guest got from it share one. */
export class FieldStore {
  readonly #state: GuestState;
  #entries: Entry[] = [];
  /** Counted towards the caps of fields. */
  #bytes = 0;
  /** Counted towards what the host holds. */
  #weight = 0;

  constructor(state: GuestState) {
    this.#state = state;
  }

  /** What the host received, without the fields that are not a guest's to see. Not held to the caps of fields. */
  static received(state: GuestState, headers: HeaderList): FieldStore {
    const store = new FieldStore(state);
    let weight = headers.length * FIELD_WEIGHT;
    for (const [name, value] of headers) weight += name.length + value.length;
    state.hold(weight);
    store.#weight = weight;
    for (const [name, value] of headers) {
      const lower = name.toLowerCase();
      if (!isForbidden(lower)) store.#entries.push([lower, Buffer.from(value, 'latin1')]);
    }
    return store;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  values(name: string): Uint8Array[] {
    return this.#entries.filter(([each]) => each === name).map(([, value]) => value);
  }

  add(name: string, value: Uint8Array): void {
    const bytes = name.length + value.byteLength;
    if (this.#entries.length >= FIELD_ENTRIES_CAP) {
      this.#state.trap(`the function put more than ${FIELD_ENTRIES_CAP} header fields into one message`);
    }
    if (this.#bytes + bytes > FIELDS_BYTES_CAP) {
      this.#state.trap(
        `the function put more than ${FIELDS_BYTES_CAP} bytes of header fields into one message`,
      );
    }
    this.#state.holdFieldBytes(bytes);
    this.#bytes += bytes;
    this.#state.hold(bytes + FIELD_WEIGHT);
    this.#weight += bytes + FIELD_WEIGHT;
    this.#entries.push([name, value]);
  }

  remove(name: string): void {
    const kept = this.#entries.filter(([each]) => each !== name);
    if (kept.length === this.#entries.length) return;
    this.#entries = kept;
    const bytes = kept.reduce((sum, [each, value]) => sum + each.length + value.byteLength, 0);
    this.#state.holdFieldBytes(Math.min(0, bytes - this.#bytes));
    this.#bytes = bytes;
    const weight = bytes + kept.length * FIELD_WEIGHT;
    this.#state.hold(Math.min(0, weight - this.#weight));
    this.#weight = weight;
  }

  /** Nobody needs them any more. */
  free(): void {
    this.#entries = [];
    this.#state.holdFieldBytes(-this.#bytes);
    this.#bytes = 0;
    this.#state.hold(-this.#weight);
    this.#weight = 0;
  }

  toHeaderList(): HeaderList {
    return this.#entries.map(([name, value]) => [name, latin1(value)]);
  }

  /** The message's Content-Length: null where it has none, undefined where it is not one number. */
  contentLength(): number | null | undefined {
    if (!this.#entries.some(([name]) => name === 'content-length')) return null;
    const values = this.values('content-length').map((value) => latin1(value).trim());
    const [first] = values;
    if (first === undefined) return null;
    return /^\d{1,15}$/.test(first) && values.every((value) => value === first) ? Number(first) : undefined;
  }
}

function latin1(value: Uint8Array): string {
  return shortAscii(value, 0, value.byteLength) ?? Buffer.from(value).toString('latin1');
}

export interface FieldsOptions {
  readonly store?: FieldStore;
  readonly immutable?: boolean;
  /** The message or future that these belong to. */
  readonly parent?: Resource;
}

export class Fields extends Resource {
  readonly #store: FieldStore;
  readonly #immutable: boolean;
  readonly #owner: boolean;

  constructor(state: GuestState, options: FieldsOptions = {}) {
    state.check();
    super(state, 'fields', options.parent);
    this.#store = options.store ?? new FieldStore(state);
    this.#immutable = options.immutable ?? false;
    this.#owner = options.parent === undefined;
  }

  static fromList(state: GuestState, entries: readonly [string, Uint8Array][]): Result<Fields, HeaderError> {
    state.check();
    const store = new FieldStore(state);
    for (const [name, value] of entries) {
      const error = refusal(name, [value]);
      if (error) {
        store.free();
        return err(error);
      }
      store.add(name.toLowerCase(), value);
    }
    return ok(new Fields(state, { store }));
  }

  get(name: string): Uint8Array[] {
    this.state.check();
    return this.#store.values(name.toLowerCase());
  }

  has(name: string): boolean {
    this.state.check();
    const lower = name.toLowerCase();
    return this.#store.entries.some(([each]) => each === lower);
  }

  set(name: string, values: readonly Uint8Array[]): Result<undefined, HeaderError> {
    const error = this.#refusal(name, values);
    if (error) return err(error);
    const lower = name.toLowerCase();
    this.#store.remove(lower);
    for (const value of values) this.#store.add(lower, value);
    return ok();
  }

  delete(name: string): Result<undefined, HeaderError> {
    const error = this.#refusal(name, []);
    if (error) return err(error);
    this.#store.remove(name.toLowerCase());
    return ok();
  }

  append(name: string, value: Uint8Array): Result<undefined, HeaderError> {
    const error = this.#refusal(name, [value]);
    if (error) return err(error);
    this.#store.add(name.toLowerCase(), value);
    return ok();
  }

  entries(): [string, Uint8Array][] {
    this.state.check();
    return this.#store.entries.map(([name, value]) => [name, value]);
  }

  /** A copy of its own, which may be changed. */
  clone(): Fields {
    this.state.check();
    const store = new FieldStore(this.state);
    for (const [name, value] of this.#store.entries) store.add(name, value);
    return new Fields(this.state, { store });
  }

  /** The guest gives them to a message, which frees them. */
  give(): FieldStore {
    this.giveAway();
    return this.#store;
  }

  protected override dropped(): void {
    if (this.#owner) this.#store.free();
  }

  #refusal(name: string, values: readonly Uint8Array[]): HeaderError | null {
    this.state.check();
    return this.#immutable ? IMMUTABLE : refusal(name, values);
  }
}

function refusal(name: string, values: readonly Uint8Array[]): HeaderError | null {
  if (!isToken(name)) return INVALID_SYNTAX;
  if (isForbidden(name.toLowerCase())) return FORBIDDEN;
  return values.every(isFieldValue) ? null : INVALID_SYNTAX;
}
