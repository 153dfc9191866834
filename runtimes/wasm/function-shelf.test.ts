import { describe, expect, it } from 'vitest';
import type { Deployment, Specialised } from './engine.ts';
import { FunctionShelf } from './function-shelf.worker.ts';

const MANIFEST = {
  prepareVersion: 1,
  engine: 'component',
  reason: '',
  entry: '',
  imports: [],
  modules: [],
} as const;

function deployment(key: string, digest: string, codeBytes: number): Deployment {
  return {
    key,
    namespace: 'default',
    name: key,
    manifest: { ...MANIFEST, digest },
    folder: '',
    modules: new Map(),
    codeBytes,
    grants: { env: [], args: [], allowedOutboundHosts: [] },
    limits: { memoryBytes: 1, cpuTimeMs: 1, bodyLimitBytes: 1 },
  } as Deployment;
}

function shelfOf(maxBytes: number): {
  shelf: FunctionShelf;
  evicted: string[];
  closed: string[];
  readonly add: (key: string, digest: string, bytes: number) => void;
} {
  const evicted: string[] = [];
  const closed: string[] = [];
  const shelf = new FunctionShelf({ maxBytes, onEvicted: (key) => evicted.push(key) });
  const specialised = (key: string): Specialised => ({
    handle: () => Promise.resolve(),
    close: () => closed.push(key),
  });
  return {
    shelf,
    evicted,
    closed,
    add: (key, digest, bytes) => shelf.add(deployment(key, digest, bytes), specialised(key)),
  };
}

describe('FunctionShelf', () => {
  it('gives up what was used least recently, and says so', () => {
    const { shelf, evicted, closed, add } = shelfOf(100);
    add('a', 'A', 40);
    add('b', 'B', 40);
    expect(shelf.enter('a')).toBeDefined();
    shelf.leave('a');
    add('c', 'C', 40);
    expect(evicted).toEqual(['b']);
    expect(closed).toEqual(['b']);
    expect(shelf.enter('b')).toBeUndefined();
    expect(shelf.enter('a')).toBeDefined();
  });

  it('keeps what has calls, also past its share', () => {
    const { shelf, evicted, add } = shelfOf(50);
    add('a', 'A', 40);
    shelf.enter('a');
    add('b', 'B', 40);
    expect(evicted).toEqual([]);
    shelf.leave('a');
    add('c', 'C', 1);
    expect(evicted).toEqual(['a']);
  });

  it('counts the code of one package once', () => {
    const { evicted, add, shelf } = shelfOf(50);
    for (let i = 0; i < 10; i++) add(`f${i}`, 'A', 40);
    expect(evicted).toEqual([]);
    for (let i = 0; i < 10; i++) shelf.remove(`f${i}`);
    add('b', 'B', 50);
    expect(evicted).toEqual([]);
  });
});
