/** Resolved resources for tests. */
import type { ResolvedFunction, ResolvedTrigger } from '../../api/index.ts';

export function trigger(name: string, parts: Partial<ResolvedTrigger> = {}): ResolvedTrigger {
  return {
    namespace: 'default',
    name,
    uid: `uid-${name}`,
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
    exposure: null,
    notServed: [],
    conditions: [],
    host: '',
    path: `/${name}`,
    prefix: false,
    keepPrefix: false,
    methods: ['GET'],
    functions: [{ name, weight: 100 }],
    cors: null,
    ...parts,
  };
}

export function limits(parts: Partial<ResolvedFunction['limits']> = {}): ResolvedFunction['limits'] {
  return {
    firstByteTimeoutMs: 20_000,
    idleTimeoutMs: 20_000,
    totalTimeoutMs: null,
    memoryBytes: 128 * 1024 * 1024,
    bodyLimitBytes: 256 * 1024 * 1024,
    concurrency: 500,
    queue: 1000,
    cpuTimeMs: 10_000,
    cpuWeight: 0.1,
    ...parts,
  };
}
