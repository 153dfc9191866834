/** What the figures were measured on, and whether somebody else was using it. */
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { leftBehindMs } from './processes.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  readonly node: string;
  readonly v8: string;
  /** The platform's version and commit, with a mark where the tree had changes. */
  readonly fissium: string;
  readonly commit: string;
  readonly loadAverage: number;
  /** Share of all cores that other programs used in the second before the run, 0 to 1; null where unknown. */
  readonly busy: number | null;
  /** Whether a hypervisor took time away (`steal`) in that second, 0 to 1; null where unknown. */
  readonly steal: number | null;
}

/** How much of the machine others use while we measure: what is busy, less what this process and its children used. */
export class OthersWatch {
  readonly #before = cpuTimes();
  readonly #ownBefore = ownTicks();

  /** Share of all cores since the start, 0 to 1; null where the system does not say. To be read when no child is left. */
  share(): number | null {
    const own = ownTicks();
    if (own === null || this.#ownBefore === null) return null;
    const after = cpuTimes();
    const total = after.total - this.#before.total;
    if (total <= 0) return null;
    const not = (['idle', 'steal', 'interrupts'] as const).reduce(
      (sum, key) => sum + after[key] - this.#before[key],
      0,
    );
    const busy = total - not;
    return Math.max(0, (busy - (own - this.#ownBefore)) / total);
  }
}

/** Ticks of this process and of the children that have ended. */
function ownTicks(): number | null {
  try {
    const text = readFileSync('/proc/self/stat', 'utf8');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return fields.slice(11, 15).reduce((sum, value) => sum + value, 0) + leftBehindMs() / 10;
  } catch {
    return null;
  }
}

/** A run is called disturbed where others use more than this share of the machine. */
export const BUSY_SHARE = 0.1;

interface CpuTimes {
  readonly total: number;
  readonly idle: number;
  readonly steal: number;
  /** Interrupts, which no process is charged for. */
  readonly interrupts: number;
}

/** Linux only: elsewhere `os.cpus()` says it, without steal. */
function cpuTimes(): CpuTimes {
  try {
    const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
      .trim()
      .split(/\s+/)
      .slice(1)
      .map(Number);
    const [, , , idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = fields;
    // The last two (guest time) are in the first two already.
    return {
      total: fields.slice(0, 8).reduce((sum, value) => sum + value, 0),
      idle: idle + iowait,
      steal,
      interrupts: irq + softirq,
    };
  } catch {
    const all = cpus().map(({ times }) => times);
    const idle = all.reduce((sum, times) => sum + times.idle, 0);
    return {
      total: all.reduce((sum, t) => sum + t.user + t.nice + t.sys + t.irq + t.idle, 0),
      idle,
      steal: 0,
      interrupts: 0,
    };
  }
}

/** How busy the machine is while this process sleeps for a second. */
export async function busyShare(periodMs = 1000): Promise<{ busy: number; steal: number } | null> {
  const before = cpuTimes();
  await new Promise((resolve) => setTimeout(resolve, periodMs));
  const after = cpuTimes();
  const total = after.total - before.total;
  if (total <= 0) return null;
  const steal = (after.steal - before.steal) / total;
  return { busy: 1 - (after.idle - before.idle) / total - steal, steal };
}

/** What is measured. */
export interface Measured {
  readonly fissium: string;
  /** Empty where it is no checkout. */
  readonly commit: string;
}

export async function describeMachine({ fissium, commit }: Measured): Promise<Machine> {
  const share = await busyShare();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    os: `${type()} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    fissium,
    commit,
    loadAverage: loadAverage(),
    busy: share === null ? null : Math.max(0, share.busy),
    steal: share === null ? null : share.steal,
  };
}

/** Over the last minute. */
export function loadAverage(): number {
  return loadavg()[0] ?? 0;
}

/** What makes every figure of a run doubtful. */
export function machineWarnings(machine: Machine): string[] {
  const warnings: string[] = [];
  const percent = (share: number): string => `${Math.round(share * 100)} %`;
  if (machine.busy !== null && machine.busy > BUSY_SHARE) {
    warnings.push(
      `BUSY MACHINE: other programs used ${percent(machine.busy)} of ${machine.cores} cores before the run began. Absolute figures are too bad and ratios unsteady; do not publish them.`,
    );
  } else if (machine.loadAverage > machine.cores / 2) {
    warnings.push(
      `The load average was ${machine.loadAverage.toFixed(1)} on ${machine.cores} cores when the run began: something else has just been running, and may again.`,
    );
  }
  if (machine.steal !== null && machine.steal > 0.02) {
    warnings.push(
      `The hypervisor took ${percent(machine.steal)} of the machine's time away before the run began.`,
    );
  }
  if (machine.cores < 4) {
    warnings.push(
      `${machine.cores} cores: the load generator shares them with what it measures, so that throughput is lower, and latency under load higher, than on a machine with cores to spare.`,
    );
  }
  return warnings;
}
