/** How much the system lets one process have: the caps that a host starts with. Main thread only. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { Caps } from './shared-limits.ts';

/** Linux's own default of `vm.max_map_count`. */
const USUAL_MAPPINGS = 65_530;
/** Mappings that the process needs for itself: threads, heaps, code, libraries. */
const OWN_MAPPINGS = 16_384;
/** A memory and its guard regions, and the stack of a guest that is suspended in it. */
const MAPPINGS_PER_MEMORY = 5;
/** Each memory reserves 8 GiB of the 128 TiB that a process can address, of which V8 wants some more. */
const MEMORIES_BY_ADDRESSES = 12_000;
const LEAST_MEMORIES = 64;
/** Share of the process's memory that guests may have; the rest is heaps, code and buffers. */
const GUEST_SHARE = 0.5;

/**
 * Caps from `vm.max_map_count` and from the memory that the process may use (its cgroup's limit, v2 or v1, else the
 * machine's).
 */
export function systemCaps(): Required<Caps> {
  return { maxMemories: memoriesFor(maxMappings()), maxBytes: Math.floor(availableBytes() * GUEST_SHARE) };
}

/** Live memories that so many mappings are enough for. */
export function memoriesFor(mappings: number): number {
  const byMappings = Math.floor((mappings - OWN_MAPPINGS) / MAPPINGS_PER_MEMORY);
  return Math.max(LEAST_MEMORIES, Math.min(byMappings, MEMORIES_BY_ADDRESSES));
}

function maxMappings(): number {
  try {
    const mappings = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'));
    return Number.isSafeInteger(mappings) && mappings > 0 ? mappings : USUAL_MAPPINGS;
  } catch {
    return USUAL_MAPPINGS;
  }
}

function availableBytes(): number {
  const total = totalmem();
  // 0 where nothing is known; far more than there is where there is no limit.
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, total) : total;
}
