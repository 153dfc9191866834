import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtobufError } from './format-error.ts';
import type { JsonObject } from './json.ts';
import { decodeProtobuf } from './protobuf.ts';
import kubectlFixtures from './testing/protobuf-kubectl.json' with { type: 'json' };

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

const times = (count: number, byte: number): number[] => Array.from({ length: count }, () => byte);

/** A body of the kind with the message's bytes, as the envelope wraps it. */
function envelope(kind: string, message: readonly number[]): Uint8Array {
  const name = [...Buffer.from(kind)];
  const typeMeta = [0x0a, 2, 0x76, 0x31, 0x12, name.length, ...name];
  return new Uint8Array([
    0x6b,
    0x38,
    0x73,
    0,
    0x0a,
    typeMeta.length,
    ...typeMeta,
    0x12,
    message.length,
    ...message,
  ]);
}

/** The Go library's JSON has null for times that are not set, and managedFields, which are dropped here. */
function comparable(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, item: unknown) =>
    item === null || key === 'managedFields' ? undefined : item,
  );
}

// Read, not imported: the test runner's import of JSON loses a key named __proto__.
const fixtures = JSON.parse(readFileSync(new URL('./testing/protobuf-go.json', import.meta.url), 'utf8')) as {
  name: string;
  base64: string;
  object: JsonObject;
}[];

describe('protobuf bodies', () => {
  it.each(
    fixtures.filter(({ object }) => object.kind !== 'Status' && object.kind !== 'SelfSubjectAccessReview'),
  )('decodes what the Go library encodes: $name', ({ base64, object }) => {
    expect(comparable(decodeProtobuf(bytesOf(base64)))).toEqual(comparable(object));
  });

  it.each(fixtures.filter(({ object }) => object.kind === 'SelfSubjectAccessReview'))(
    'decodes what the Go library encodes, without the status that only a server writes: $name',
    ({ base64, object: { status: _, ...rest } }) => {
      expect(comparable(decodeProtobuf(bytesOf(base64)))).toEqual(comparable(rest));
    },
  );

  it('decodes what kubectl sends', () => {
    const { bodies } = kubectlFixtures;
    expect(decodeProtobuf(bytesOf(bodies['configmap with literals and files'].base64))).toMatchObject({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings' },
      data: { color: 'blue', empty: '', 'f.txt': 'line1\n' },
      binaryData: { 'bin.dat': 'XYkWU5jwjpG6rnlcZIjzggXPIAaFIUl6dNOe2zp7KOKbak5nHiVfGg==' },
    });
    expect(decodeProtobuf(bytesOf(bodies['generic secret'].base64))).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'creds', namespace: 'prod' },
      data: { user: 'YWRtaW4=', pass: 'czNjcmV0' },
    });
    expect(decodeProtobuf(bytesOf(bodies['registry secret'].base64))).toMatchObject({
      type: 'kubernetes.io/dockerconfigjson',
    });
    expect(decodeProtobuf(bytesOf(bodies.namespace.base64))).toEqual({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'team-a' },
      spec: {},
      status: {},
    });
    expect(decodeProtobuf(bytesOf(bodies['access review of a path'].base64))).toMatchObject({
      kind: 'SelfSubjectAccessReview',
      spec: { nonResourceAttributes: { path: '/healthz', verb: 'get' } },
    });
  });

  it('keeps a key named __proto__ as a plain key', () => {
    const entry = [0x0a, 9, ...Buffer.from('__proto__'), 0x12, 1, 0x78];
    const object = decodeProtobuf(envelope('ConfigMap', [0x12, entry.length, ...entry]));
    expect(JSON.stringify(object.data)).toBe('{"__proto__":"x"}');
  });

  it('merges a message that comes in two pieces and lets the last scalar win', () => {
    const object = decodeProtobuf(
      envelope('ConfigMap', [0x0a, 3, 0x0a, 1, 0x61, 0x0a, 6, 0x1a, 1, 0x6e, 0x0a, 1, 0x62]),
    );
    expect(object.metadata).toEqual({ name: 'b', namespace: 'n' });
  });

  it.each<[string, number, Uint8Array]>([
    ['an empty body', 400, new Uint8Array()],
    ['JSON', 400, new Uint8Array(Buffer.from('{"kind":"ConfigMap"}'))],
    ['a kind without a table', 415, envelope('Pod', [])],
    ['no envelope', 400, new Uint8Array([0x6b, 0x38, 0x73, 0])],
    ['a length beyond the buffer', 400, envelope('ConfigMap', [0x0a, 0x7f])],
    [
      'a length of 2^63',
      400,
      envelope('ConfigMap', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ],
    ['a varint without an end', 400, envelope('ConfigMap', [0x20, 0x80])],
    ['an overlong varint', 400, envelope('ConfigMap', [0x20, ...times(10, 0x80), 1])],
    ['a varint over 64 bits', 400, envelope('ConfigMap', [0x20, ...times(9, 0xff), 0x7f])],
    ['a group', 400, envelope('ConfigMap', [0x4b])],
    ['field 0', 400, envelope('ConfigMap', [0x02, 0])],
    ['a wrong wire type', 400, envelope('ConfigMap', [0x08, 1])],
    ['a string that is not UTF-8', 400, envelope('ConfigMap', [0x0a, 3, 0x0a, 1, 0xff])],
    ['a fixed number cut short', 400, envelope('ConfigMap', [0x79, 1, 2])],
    ['a time out of range', 400, envelope('Event', [0x32, 11, 0x08, ...times(9, 0xff), 0x01, 0x10])],
    ['an integer over 2^53', 400, envelope('Event', [0x40, ...times(8, 0xff), 0x7f])],
  ])('refuses %s', (_, status, body) => {
    expect(() => decodeProtobuf(body)).toThrow(expect.objectContaining({ name: 'ProtobufError', status }));
  });

  it('refuses every truncation', () => {
    // The envelope ends with two empty strings, which may be missing.
    const TRAILER_BYTES = 4;
    for (const { base64 } of fixtures) {
      const whole = bytesOf(base64);
      for (let length = 0; length < whole.length - TRAILER_BYTES; length += 1) {
        expect(decodes(whole.subarray(0, length))).toBe(false);
      }
    }
  });

  it('decodes or refuses any bytes', () => {
    const body = fc.constantFrom(...fixtures.map(({ base64 }) => bytesOf(base64)));
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(body, flips, fc.uint8Array({ maxLength: 40 }), (original, changes, tail) => {
        const mutated = new Uint8Array([...original, ...tail]);
        for (const [at, value] of changes) mutated[at % mutated.length] = value;
        expect(typeof decodes(mutated)).toBe('boolean');
        expect(typeof decodes(envelope('Event', [...tail]))).toBe('boolean');
      }),
      { numRuns: 2000 },
    );
  });
});

/** Whether it decodes; false where it is refused properly, and throws where it fails otherwise. */
function decodes(body: Uint8Array): boolean {
  try {
    decodeProtobuf(body);
    return true;
  } catch (thrown) {
    if (thrown instanceof ProtobufError) return false;
    throw thrown;
  }
}
