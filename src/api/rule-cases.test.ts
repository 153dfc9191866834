import { describe, expect, it } from 'vitest';
import { kindByName } from './index.ts';
import { isObject } from './json.ts';
import { RULE_CASES } from './testing/rule-cases.ts';

// What a Kubernetes API server makes of the same objects: test/cluster/suite/crds.test.ts.
describe('validate', () => {
  it.each(
    RULE_CASES.map(({ object, refused }) => [JSON.stringify(object).slice(0, 300), refused, object] as const),
  )('%s: refused by %s', (_, refused, object) => {
    const kind = kindByName(isObject(object) ? String(object['kind']) : '');
    const errors = kind?.validate(object).map(({ path, message }) => `${path} ${message}`);
    expect({ refused: errors?.length !== 0, errors }).toEqual({ refused: refused !== 'no', errors });
  });

  it("refuses a change of an environment's version", () => {
    const at = (version: number): object => ({ spec: { version, runtime: { image: 'wasm' } } });
    expect(kindByName('Environment')?.validateUpdate(at(2), at(3))).toHaveLength(1);
  });
});
