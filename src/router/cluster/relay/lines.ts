/** The lines to one pod or router. */
import { Line, type LineCall, type LineOwner } from './line.ts';

export interface LinesOptions {
  /** `http://ADDRESS:PORT`. */
  readonly origin: string;
  readonly connectTimeoutMs: number;
}

/** Most at once; what goes beyond takes another way. */
const MAX_LINES = 1024;
const SWEEP_MS = 5_000;

export class Lines implements LineOwner {
  readonly #address: { readonly host: string; readonly port: number };
  readonly #connectTimeoutMs: number;
  /** The one used last is taken first, so that what is not needed grows old. */
  readonly #idle: Line[] = [];
  #count = 0;
  #closed = false;
  #sweep: NodeJS.Timeout | null = null;

  constructor({ origin, connectTimeoutMs }: LinesOptions) {
    const { hostname, port } = new URL(origin);
    this.#address = { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) };
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Connections, free or not. */
  get open(): number {
    return this.#count;
  }

  /** Sends a request on a free line, or on a new one; null, and nothing is sent, where there are too many already. */
  send(call: LineCall, head: string, body: Uint8Array | null): Line | null {
    if (this.#closed) return null;
    const nowMs = performance.now();
    let line = this.#idle.pop();
    while (line !== undefined && !line.isUsable(nowMs)) {
      line.close();
      line = this.#idle.pop();
    }
    if (line === undefined) {
      if (this.#count >= MAX_LINES) return null;
      this.#count++;
      line = new Line(this, this.#address, this.#connectTimeoutMs);
    }
    line.send(call, head, body);
    return line;
  }

  idle(line: Line): void {
    if (this.#closed) {
      line.close();
      return;
    }
    this.#idle.push(line);
    this.#sweep ??= setTimeout(() => this.#closeOld(), SWEEP_MS).unref();
  }

  closed(line: Line): void {
    this.#count--;
    const at = this.#idle.indexOf(line);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** Ends those that are free now, and the others when their requests are over. */
  close(): void {
    this.#closed = true;
    if (this.#sweep !== null) clearTimeout(this.#sweep);
    for (const line of this.#idle.splice(0)) line.close();
  }

  #closeOld(): void {
    this.#sweep = null;
    const nowMs = performance.now();
    const kept = this.#idle.filter((line) => line.isUsable(nowMs));
    for (const line of this.#idle.splice(0, Infinity, ...kept)) if (!kept.includes(line)) line.close();
    if (kept.length > 0) this.#sweep = setTimeout(() => this.#closeOld(), SWEEP_MS).unref();
  }
}
