import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  KINDS,
  defaulted,
  parseDuration,
  parseOutboundHost,
  parseQuantity,
  resolveEnvironment,
  resolveFunction,
  resolveKubernetesWatchTrigger,
  resolveMessageQueueTrigger,
  resolvePackage,
  resolveTimeTrigger,
  resolveTrigger,
  withoutUnknownFields,
} from './index.ts';
import type { KindName } from './index.ts';
import { FissiumError } from '../errors.ts';
import { isObject } from './json.ts';
import { arbitraryOf } from './testing/arbitrary.ts';
import { GO_STYLE } from './testing/examples.ts';

// Called with what a cluster may have stored, whatever its type says.
const RESOLVE: Record<KindName, (object: never) => unknown> = {
  Environment: resolveEnvironment,
  Function: resolveFunction,
  Package: resolvePackage,
  HTTPTrigger: resolveTrigger,
  TimeTrigger: resolveTimeTrigger,
  MessageQueueTrigger: resolveMessageQueueTrigger,
  KubernetesWatchTrigger: resolveKubernetesWatchTrigger,
};

/** What `resolve` makes of a value; anything thrown that is no FissiumError fails the test. */
function outcome(kind: KindName, value: unknown): 'resolved' | 'refused' {
  try {
    RESOLVE[kind](value as never);
    return 'resolved';
  } catch (error) {
    if (error instanceof FissiumError && error.code === 'RESOURCE_INVALID') return 'refused';
    throw error;
  }
}

describe.each(KINDS.map((kind) => [kind.kind, kind] as const))('%s', (name, kind) => {
  it('resolves exactly what it accepts, for values of its schema', () => {
    let accepted = 0;
    const example = GO_STYLE[name] ?? {};
    const property = fc.property(arbitraryOf(kind.schema), fc.boolean(), (value, overExample) => {
      // Over a good object, so that enough of them are right as a whole.
      const object = overExample ? { ...example, spec: { ...specOf(example), ...specOf(value) } } : value;
      const errors = kind.validate(object).filter(({ unknown }) => unknown !== true);
      const result = outcome(name, object);
      expect(result).toBe(errors.length === 0 ? 'resolved' : 'refused');
      if (result === 'resolved') accepted++;
    });
    fc.assert(property, { numRuns: 400 });
    expect(accepted).toBeGreaterThan(0);
  });

  it('resolves exactly what it accepts, for one field of a good object replaced by anything', () => {
    const example = GO_STYLE[name] ?? {};
    fc.assert(
      fc.property(fc.constantFrom(...pathsOf(example)), fc.jsonValue(), (path, value) => {
        const object = replaced(example, path, value);
        const errors = kind.validate(object).filter(({ unknown }) => unknown !== true);
        expect(outcome(name, object)).toBe(errors.length === 0 ? 'resolved' : 'refused');
      }),
      { numRuns: 400 },
    );
  });

  it('neither validates, defaults nor prunes with an exception, for any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        for (const { path, message } of kind.validate(value)) expect(`${path}${message}`).not.toBe('');
        kind.validateUpdate(value, value);
        defaulted(kind, value);
        withoutUnknownFields(kind, value);
      }),
      { numRuns: 300 },
    );
  });

  it('takes defaults only once, and accepts what it accepted before them', () => {
    fc.assert(
      fc.property(arbitraryOf(kind.schema), (value) => {
        const once = defaulted(kind, value);
        expect(defaulted(kind, once)).toEqual(once);
        const wasGood = kind.validate(value).length === 0;
        expect(wasGood && kind.validate(once).length > 0).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  it('finds nothing unknown after unknown fields are dropped', () => {
    fc.assert(
      fc.property(arbitraryOf(kind.schema), (value) => {
        const unknown = kind.validate(withoutUnknownFields(kind, value)).filter((error) => error.unknown);
        expect(unknown).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('parsers', () => {
  it('read or refuse any text', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0159.+-eEmMiskKGh:/[]*a'.split('')) })),
        (text) => {
          const quantity = parseQuantity(text);
          const duration = parseDuration(text);
          expect(quantity === null || Number.isFinite(quantity)).toBe(true);
          expect(duration === null || !Number.isNaN(duration)).toBe(true);
          const host = parseOutboundHost(text);
          // What was accepted is a host that URL parsers take for the same host.
          const shown = 'error' in host ? '' : host.host.includes(':') ? `[${host.host}]` : host.host;
          expect(shown === '' ? '' : new URL(`http://${shown}`).hostname).toBe(shown);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

function specOf(value: unknown): object {
  return isObject(value) && isObject(value['spec']) ? value['spec'] : {};
}

function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, [...path, name]))];
}

function replaced(object: unknown, [first, ...rest]: readonly string[], value: unknown): unknown {
  if (first === undefined) return value;
  const copy: Record<string, unknown> = Object.assign(Array.isArray(object) ? [] : {}, object);
  copy[first] = replaced(copy[first], rest, value);
  return copy;
}
