import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CORE_KINDS } from './core-kinds.ts';
import { ageOf, humanDuration } from './human-duration.ts';
import { compileJsonPath } from './json-path.ts';
import type { JsonObject } from './json.ts';
import type { KindInfo } from './kind-info.ts';
import { AGE_COLUMN, parseIncludeObject, toTable } from './table.ts';

const NOW_MS = Date.parse('2026-01-02T03:04:05Z');
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function core(plural: string): KindInfo {
  const kind = CORE_KINDS.find((candidate) => candidate.plural === plural);
  if (kind === undefined) throw new Error(`no kind ${plural}`);
  return kind;
}

function printed(info: Pick<KindInfo, 'columns'>, object: JsonObject): Record<string, unknown> {
  const table = toTable(info, [object], { nowMs: NOW_MS });
  const names = (table.columnDefinitions as { name: string }[]).map(({ name }) => name);
  const [row] = table.rows as { cells: unknown[] }[];
  return Object.fromEntries(names.map((name, index) => [name, row?.cells[index]]));
}

describe('ages', () => {
  it.each([
    [-5 * SECOND, '<invalid>'],
    [-1500, '0s'],
    [0, '0s'],
    [119 * SECOND, '119s'],
    [2 * MINUTE, '2m'],
    [3 * MINUTE + 20 * SECOND, '3m20s'],
    [25 * MINUTE + SECOND, '25m'],
    [179 * MINUTE, '179m'],
    [3 * HOUR + 2 * MINUTE, '3h2m'],
    [30 * HOUR, '30h'],
    [3 * DAY + 4 * HOUR, '3d4h'],
    [12 * DAY, '12d'],
    [729 * DAY, '729d'],
    [760 * DAY, '2y30d'],
    [9 * 365 * DAY, '9y'],
  ])('%i ms is %s', (durationMs, text) => {
    expect(humanDuration(durationMs)).toBe(text);
  });

  it('says where there is no time', () => {
    expect(ageOf(undefined, NOW_MS)).toBe('<unknown>');
    expect(ageOf('yesterday', NOW_MS)).toBe('<invalid>');
  });
});

describe('JSON paths', () => {
  const object = {
    spec: { x: 1, 'a.b': 'dotted', list: ['p', 'q'] },
    status: {
      conditions: [
        { type: 'Other', status: 'x' },
        { type: 'Ready', status: 'True', n: 3 },
      ],
    },
  };

  it.each([
    ['.spec.x', [1]],
    ['{.spec.x}', [1]],
    ['$.spec.x', [1]],
    ['.spec.nosuch.deeper', []],
    ['.spec.toString', []],
    ['.spec.a\\.b', ['dotted']],
    [".spec['a.b']", ['dotted']],
    ['.spec.list[0]', ['p']],
    ['.spec.list[-1]', ['q']],
    ['.spec.list[9]', []],
    ['.spec.list[*]', ['p', 'q']],
    ['.status.conditions[*].type', ['Other', 'Ready']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    [".status.conditions[?(@.type == 'Ready')].status", ['True']],
    ['.status.conditions[?(@.type!="Ready")].status', ['x']],
    ['.status.conditions[?(@.n==3)].type', ['Ready']],
  ])('%s', (path, expected) => {
    expect(compileJsonPath(path)(object)).toEqual(expected);
  });

  it.each(['spec.x', '..x', '.a[', '.a[?(@.b)]', '.a[0:2]'])('refuses %s', (path) => {
    expect(() => compileJsonPath(path)).toThrow('is not supported');
  });

  it('compiles or refuses any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        let path;
        try {
          path = compileJsonPath(`.${text}`);
        } catch {
          return;
        }
        expect(Array.isArray(path(object))).toBe(true);
      }),
    );
  });
});

describe('tables', () => {
  const custom = {
    columns: [
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Image', type: 'string', jsonPath: '.spec.image', priority: 1 },
      { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
      { name: 'Since', type: 'date', jsonPath: '.status.since' },
      AGE_COLUMN,
    ],
  } as const;

  it('puts the name first and fills the columns from their paths', () => {
    const object = {
      metadata: { name: 'f', creationTimestamp: '2026-01-02T02:59:05Z' },
      spec: { image: { odd: true }, size: 2.5 },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    };
    expect(printed(custom, object)).toEqual({
      Name: 'f',
      Ready: 'True',
      Image: '{"odd":true}',
      Size: 2,
      Since: null,
      Age: '5m',
    });
  });

  it('has a place for every column of an object that lacks everything', () => {
    expect(printed(custom, {})).toEqual({
      Name: null,
      Ready: null,
      Image: null,
      Size: null,
      Since: null,
      Age: '<unknown>',
    });
  });

  it('prints Name and Age where no columns are given', () => {
    expect(printed({ columns: [] }, { metadata: { name: 'x' } })).toEqual({ Name: 'x', Age: '<unknown>' });
  });

  it('prints the core kinds as Kubernetes does', () => {
    const metadata = { name: 'x', creationTimestamp: '2026-01-02T00:02:05Z' };
    expect(printed(core('namespaces'), { metadata, status: { phase: 'Active' } })).toEqual({
      Name: 'x',
      Status: 'Active',
      Age: '3h2m',
    });
    expect(printed(core('configmaps'), { metadata, data: { a: '1' }, binaryData: { b: 'AA==' } })).toEqual({
      Name: 'x',
      Data: 2,
      Age: '3h2m',
    });
    expect(printed(core('secrets'), { metadata, type: 'Opaque', data: {} })).toEqual({
      Name: 'x',
      Type: 'Opaque',
      Data: 0,
      Age: '3h2m',
    });
    const event = {
      metadata,
      involvedObject: { kind: 'Function', name: 'f' },
      reason: 'Prepared',
      type: 'Normal',
      message: ' done \n',
      source: { component: 'control' },
      firstTimestamp: '2026-01-02T02:04:05Z',
      lastTimestamp: '2026-01-02T03:03:05Z',
      count: 4,
    };
    expect(printed(core('events'), event)).toEqual({
      'Last Seen': '60s',
      Type: 'Normal',
      Reason: 'Prepared',
      Object: 'function/f',
      Subobject: null,
      Source: 'control',
      Message: 'done',
      'First Seen': '60m',
      Count: 4,
      Name: 'x',
    });
  });

  it('takes the time of an event from eventTime or its series where the older fields are empty', () => {
    const event = { eventTime: '2026-01-02T02:04:05.123456Z' };
    expect(printed(core('events'), event)).toMatchObject({
      'Last Seen': '59m',
      'First Seen': '59m',
      Count: 1,
    });
    const repeated = { ...event, series: { count: 9, lastObservedTime: '2026-01-02T03:04:00.000000Z' } };
    expect(printed(core('events'), repeated)).toMatchObject({
      'Last Seen': '5s',
      'First Seen': '59m',
      Count: 9,
    });
  });

  it('puts into each row what is asked for', () => {
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: {} };
    const rowObject = (includeObject: 'None' | 'Metadata' | 'Object' | undefined): unknown => {
      const table = toTable(core('configmaps'), [object], {
        nowMs: NOW_MS,
        ...(includeObject ? { includeObject } : {}),
      });
      return (table.rows as { object: unknown }[])[0]?.object;
    };
    expect(rowObject('None')).toBeNull();
    expect(rowObject('Object')).toBe(object);
    const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'x' } };
    expect(rowObject('Metadata')).toEqual(partial);
    expect(rowObject(undefined)).toEqual(partial);
  });

  it('knows the values of includeObject', () => {
    expect(parseIncludeObject(null)).toBe('Metadata');
    expect(parseIncludeObject('Object')).toBe('Object');
    expect(parseIncludeObject('All')).toBeUndefined();
  });
});
