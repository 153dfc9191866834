/** Where one call's time goes in its instance, for a receipt: in host functions, waiting, and the rest. */
export class CallClock {
  hostMs = 0;
  waitingMs = 0;
  readonly #beganMs = performance.now();
  #hostSince = -1;
  #waitingSince = -1;

  /** What is neither the host's nor waiting: the guest's, and that of neighbours to whom it had to give way. */
  restMs(): number {
    return Math.max(0, performance.now() - this.#beganMs - this.hostMs - this.waitingMs);
  }

  enterHost(): void {
    this.#hostSince = performance.now();
  }

  leaveHost(): void {
    if (this.#hostSince < 0) return;
    this.hostMs += performance.now() - this.#hostSince;
    this.#hostSince = -1;
  }

  /** The guest waits: that is not the host's work. */
  suspend(): void {
    this.leaveHost();
    this.#waitingSince = performance.now();
  }

  /** The host hands over what was waited for. */
  resume(): void {
    if (this.#waitingSince < 0) return;
    const now = performance.now();
    this.waitingMs += now - this.#waitingSince;
    this.#waitingSince = -1;
    this.#hostSince = now;
  }
}
