/** The functions that one thread can serve at once: as many as its share of compiled code allows. */
import { CpuShare } from './cpu-shares.worker.ts';
import type { Deployment, GuestLimits, Specialised } from './engine.ts';

/** A function that can be called now. */
export interface ShelvedFunction {
  readonly specialised: Specialised;
  readonly limits: GuestLimits;
  /** Of the time of this thread. */
  readonly share: CpuShare;
}

interface Held extends ShelvedFunction {
  readonly code: Code;
  calls: number;
  lastUsed: number;
}

interface Code {
  readonly digest: string;
  readonly bytes: number;
  users: number;
}

export class FunctionShelf {
  readonly #maxBytes: number;
  readonly #onEvicted: (key: string) => void;
  readonly #held = new Map<string, Held>();
  /** By digest: functions of one package share its compiled modules. */
  readonly #code = new Map<string, Code>();
  #bytes = 0;
  #clock = 0;

  constructor(options: { readonly maxBytes: number; readonly onEvicted: (key: string) => void }) {
    this.#maxBytes = options.maxBytes;
    this.#onEvicted = options.onEvicted;
  }

  /** Puts a function in; those used least recently give way where there is no room. */
  add(deployment: Deployment, specialised: Specialised): void {
    const { key, codeBytes } = deployment;
    const digest = `${deployment.manifest.engine}-${deployment.manifest.digest}`;
    this.remove(key);
    const code = this.#code.get(digest) ?? { digest, bytes: codeBytes, users: 0 };
    if (code.users === 0) {
      this.#code.set(digest, code);
      this.#bytes += codeBytes;
    }
    code.users++;
    this.#held.set(key, {
      specialised,
      limits: deployment.limits,
      share: new CpuShare(deployment.limits.cpuWeight),
      code,
      calls: 0,
      lastUsed: ++this.#clock,
    });
    while (this.#bytes > this.#maxBytes) if (!this.#evict(key)) return;
  }

  /** The function for a call that begins now, which `leave` ends; undefined where it is not there. */
  enter(key: string): ShelvedFunction | undefined {
    const held = this.#held.get(key);
    if (!held) return undefined;
    held.calls++;
    held.lastUsed = ++this.#clock;
    return held;
  }

  leave(key: string): void {
    const held = this.#held.get(key);
    if (held) held.calls--;
  }

  remove(key: string): void {
    const held = this.#held.get(key);
    if (!held) return;
    this.#held.delete(key);
    const { code } = held;
    if (--code.users === 0) {
      this.#code.delete(code.digest);
      this.#bytes -= code.bytes;
    }
    held.specialised.close();
  }

  /** @returns false where only functions that are running, or `kept`, are left */
  #evict(kept: string): boolean {
    let oldest: string | null = null;
    let lastUsed = Infinity;
    for (const [key, held] of this.#held) {
      if (key === kept || held.calls > 0 || held.lastUsed >= lastUsed) continue;
      oldest = key;
      lastUsed = held.lastUsed;
    }
    if (oldest === null) return false;
    this.remove(oldest);
    this.#onEvicted(oldest);
    return true;
  }
}
