/** Longest line that is kept whole, bytes; what is longer is cut into lines of this length. */
const MAX_LINE_BYTES = 16 * 1024;

/** Cuts a guest's output into lines of UTF-8 text. */
export class LineSplitter {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #decoder = new TextDecoder();

  /** The lines that this chunk completes, without their line ends. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (;;) {
      const newline = chunk.indexOf(10, from);
      if (newline < 0) break;
      lines.push(...this.#take(chunk.subarray(from, newline)));
      from = newline + 1;
    }
    const tail = chunk.subarray(from);
    const rest = new Uint8Array(this.#rest.byteLength + tail.byteLength);
    rest.set(this.#rest);
    rest.set(tail, this.#rest.byteLength);
    this.#rest = rest;
    while (this.#rest.byteLength > MAX_LINE_BYTES) {
      lines.push(this.#decoder.decode(this.#rest.subarray(0, MAX_LINE_BYTES)));
      this.#rest = this.#rest.slice(MAX_LINE_BYTES);
    }
    return lines;
  }

  /** What is left without a line end. */
  flush(): string[] {
    return this.#rest.byteLength === 0 ? [] : this.#take(new Uint8Array(0));
  }

  #take(end: Uint8Array): string[] {
    const line = new Uint8Array(this.#rest.byteLength + end.byteLength);
    line.set(this.#rest);
    line.set(end, this.#rest.byteLength);
    this.#rest = new Uint8Array(0);
    const trimmed = line.at(-1) === 13 ? line.subarray(0, -1) : line;
    const lines: string[] = [];
    for (let from = 0; from === 0 || from < trimmed.byteLength; from += MAX_LINE_BYTES) {
      lines.push(this.#decoder.decode(trimmed.subarray(from, from + MAX_LINE_BYTES)));
    }
    return lines;
  }
}
