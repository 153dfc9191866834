import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wat } from '../rewrite/testing/wat.ts';
import { readComponent, withoutCustomSections } from './component-binary.ts';

const torture = new Uint8Array(
  readFileSync(join(import.meta.dirname, '../../../test/guests/built/torture.wasm')),
);

describe('readComponent', () => {
  it('lists imports and exports', () => {
    const { imports, exports } = readComponent(torture);
    expect(imports).toContainEqual(expect.stringMatching(/^wasi:http\/types@0\.2\./));
    expect(exports).toEqual([expect.stringMatching(/^wasi:http\/incoming-handler@0\.2\./)]);
  });

  it('reads every kind of import and export', async () => {
    const wasm = await wat(`(component
      (import "a:b/types@0.2.0" (instance (export "t" (type (sub resource)))))
      (type $u (record (field "x" u32)))
      (import "point" (type $p (eq $u)))
      (import "opaque" (type (sub resource)))
      (import "work" (func (param "x" u32)))
      (import "core" (core module (export "f" (func))))
      (import "part" (component))
      (component $c) (instance $i (instantiate $c))
      (export "out" (instance $i)) (export "kind" (type $p)))`);
    expect(readComponent(wasm)).toEqual({
      imports: ['a:b/types@0.2.0', 'point', 'opaque', 'work', 'core', 'part'],
      exports: ['out', 'kind'],
    });
  });

  // jco writes these names between quotes without escaping them: each would be code outside of the sandbox.
  it.each([
    ['a core export', String.raw`(component (core module $m (func (export "x'];evil();//"))))`],
    ['a core import', String.raw`(component (core module $m (import "x" "\\" (func))))`],
    [
      'a core import of a nested component',
      '(component (component (core module $m (import "a\\nb" "x" (func)))))',
    ],
    ['a line separator', '(component (core module $m (func (export "\\u{2028}"))))'],
    ['a template', '(component (core module $m (func (export "${evil}"))))'],
    [
      'an export of a core instance',
      `(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (core instance (export "it's" (func $i "f"))))`,
    ],
    [
      'an argument of a core instance',
      `(component (core module $m (import "a'b" "f" (func))) (core instance $e)
      (core instance (instantiate $m (with "a'b" (instance $e)))))`,
    ],
  ])('refuses %s whose name could end a string', async (_name, text) => {
    const wasm = await wat(text);
    expect(() => readComponent(wasm)).toThrow(/names|quotes/);
  });

  it('refuses shared memories', async () => {
    const wasm = await wat('(component (core module (memory 1 2 shared)))');
    expect(() => readComponent(wasm)).toThrow(/shared memory/);
  });

  it('takes or refuses whatever it is given, and never fails otherwise', () => {
    const damage = fc.array(fc.tuple(fc.nat(torture.length - 9), fc.nat(255)), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(damage, (changes) => {
        const wasm = torture.slice();
        for (const [at, value] of changes) wasm[8 + at] = value;
        expect([null, 'PACKAGE_REFUSED']).toContain(codeOf(() => readComponent(wasm)));
      }),
      { numRuns: 300 },
    );
  });
});

describe('withoutCustomSections', () => {
  it('keeps what the component is', () => {
    const stripped = withoutCustomSections(torture);
    expect(stripped.length).toBeLessThan(torture.length);
    expect(readComponent(stripped)).toEqual(readComponent(torture));
  });
});

/** The code of the failure, null where there is none. */
function codeOf(call: () => unknown): unknown {
  try {
    call();
    return null;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}
