import { describe, expect, it } from 'vitest';
import { wat } from '../rewrite/testing/wat.ts';
import { checkBounds } from './bounds.ts';

describe('checkBounds', () => {
  it.each([
    ['two memories', '(module (memory 1) (memory 1))', /has 2 memories/],
    ['a second memory', '(module (import "a" "b" (memory 1)) (memory 1))', /has 2 memories/],
    [
      'large tables',
      '(module (table 600000 funcref) (table 600000 externref))',
      /1200000 elements in 2 tables/,
    ],
    ['many tables', `(module ${'(table 0 funcref)'.repeat(101)})`, /in 101 tables/],
    ['arrays', '(module (type (array (mut i64))))', /garbage collection/],
    [
      'structs',
      '(module (rec (type (func)) (type $n (sub (struct (field (ref null $n)))))))',
      /garbage collection/,
    ],
  ])('refuses %s', async (_, text, message) => {
    const wasm = await wat(text);
    expect(() => checkBounds(wasm, 'the module')).toThrow(message);
  });

  it('takes one memory, a table as compilers write it, and function types', async () => {
    const wasm = await wat(
      '(module (type (func (param i32))) (memory 1) (table 100 100 funcref) (table 2 (ref null func) (ref.null func)))',
    );
    expect(() => checkBounds(wasm, 'the module')).not.toThrow();
  });
});
