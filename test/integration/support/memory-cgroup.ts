/** A cgroup of Linux, v1 or v2, with a limit on memory, that a process is started in. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const V1 = '/sys/fs/cgroup/memory';
const V2 = '/sys/fs/cgroup';

export interface MemoryCgroup {
  /** A command that runs the one behind it in the cgroup, in its own place. */
  readonly under: readonly string[];
  /** The most that its processes held together, bytes; null where the kernel does not say. */
  peakBytes(): number | null;
  /** How often its processes met the limit. */
  hits(): number;
  /** After its processes are gone. */
  remove(): void;
}

/** Or why there can be none. */
export function makeMemoryCgroup(limitBytes: number): MemoryCgroup | string {
  const isV1 = existsSync(join(V1, 'memory.limit_in_bytes'));
  const folder = join(isV1 ? V1 : V2, `fissium-test-${process.pid}-${Date.now()}`);
  try {
    mkdirSync(folder);
  } catch (error) {
    return `no cgroup can be made: ${error instanceof Error ? error.message : String(error)}`;
  }
  try {
    writeFileSync(join(folder, isV1 ? 'memory.limit_in_bytes' : 'memory.max'), String(limitBytes));
  } catch (error) {
    rmdirSync(folder);
    return `a cgroup's memory cannot be limited: ${error instanceof Error ? error.message : String(error)}`;
  }
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  return {
    under: ['/bin/sh', '-c', `echo $$ > ${folder}/cgroup.procs && exec "$0" "$@"`],
    peakBytes: () => {
      const name = isV1 ? 'memory.max_usage_in_bytes' : 'memory.peak';
      return existsSync(join(folder, name)) ? Number(read(name)) : null;
    },
    hits: () => Number(isV1 ? read('memory.failcnt') : /^max (\d+)$/m.exec(read('memory.events'))?.[1]),
    remove: () => rmdirSync(folder),
  };
}
