import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { CliError } from '../errors.ts';
import { SpecCollector, type SpecSet } from './load.ts';

function read(text: string): SpecSet {
  const collector = new SpecCollector('/specs');
  collector.add(text, 'specs/x.yaml');
  return collector.result();
}

function failureOf(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('reading specifications', () => {
  test('takes several documents, with the line where each begins', () => {
    const { objects } = read(
      '---\nkind: Environment\nmetadata: {name: a}\n---\n# a comment\n---\n\nkind: Package\nmetadata: {name: b, namespace: c}\n',
    );
    expect(objects.map(({ kind, name, location }) => `${kind} ${name} ${location}`)).toEqual([
      'Environment a specs/x.yaml:2',
      'Package b specs/x.yaml:8',
    ]);
  });

  test.each([
    ['- a\n', 'specs/x.yaml:1 is no resource'],
    ['kind: [\n', 'specs/x.yaml:2 is not YAML'],
    ['kind: Function\nmetadata: {}\n', 'specs/x.yaml:1: Function has no metadata.name'],
    [
      'kind: Function\nmetadata: {name: a, namespace: 3}\n',
      'metadata.namespace of Function "a" is 3, not a string',
    ],
    ['kind: DeploymentConfig\nname: a\n', 'DeploymentConfig needs a name and a uid'],
    [
      'kind: ArchiveUploadSpec\nname: a\ninclude: x\n',
      'ArchiveUploadSpec "a" needs a list `include` of paths',
    ],
    [
      'kind: Function\nmetadata: {name: a}\n---\nkind: Function\nmetadata: {name: a}\n',
      'Function "a" is there twice',
    ],
    ['a: &a [1]\nb: *c\n', 'specs/x.yaml:1 cannot be read'],
    [
      `a: &a [x]\nb: &b [${'*a,'.repeat(30)}]\nc: &c [${'*b,'.repeat(30)}]\nkind: [${'*c,'.repeat(30)}]\n`,
      'cannot be read',
    ],
  ])('refuses %j', (text, message) => {
    expect(() => read(text)).toThrow(CliError);
    expect(() => read(text)).toThrow(message);
  });

  test('leaves other kinds out, with a warning', () => {
    expect(read('apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n')).toMatchObject({
      objects: [],
      warnings: ['specs/x.yaml:1: "v1" Secret is left out: only kinds of fission.io/v1 are applied'],
    });
  });

  test('any text is read or refused with a location, never anything else', () => {
    const words = fc.constantFrom(
      'kind: ',
      'Function',
      'metadata:',
      '\n',
      '  name: a',
      '---\n',
      '- ',
      '{',
      '}',
      '&a ',
      '*a',
      '!!x ',
      ': ',
      '"',
      '<<: ',
      '\t',
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 40 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const failure = failureOf(() => read(text));
        const isExpected = failure instanceof CliError && failure.message.includes('specs/x.yaml:');
        expect(failure === undefined || isExpected, String(failure)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('any value is read back as written or refused', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (spec) => {
        const { objects } = read(
          stringify({ apiVersion: 'fission.io/v1', kind: 'Function', metadata: { name: 'a' }, spec }),
        );
        // JSON has one zero.
        expect(JSON.stringify(objects[0]?.object.spec)).toBe(JSON.stringify(spec));
      }),
    );
  });
});
