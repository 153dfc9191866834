/** What a build says, as it is kept: its beginning and its end. */
import { StringDecoder } from 'node:string_decoder';

/** A status holds 1.5 MB at most, with everything else; this much of a log is read by nobody in full. */
const HEAD_CHARACTERS = 16 * 1024;
const TAIL_CHARACTERS = 48 * 1024;
// oxlint-disable-next-line no-control-regex -- colours and what else is meant for a terminal
const CONTROLS = /\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;

export class BuildLog {
  readonly #decoder = new StringDecoder('utf8');
  #head = '';
  #tail = '';
  #omitted = 0;

  push(chunk: Uint8Array): void {
    this.add(this.#decoder.write(Buffer.from(chunk)));
  }

  add(text: string): void {
    const room = Math.max(0, HEAD_CHARACTERS - this.#head.length);
    this.#head += text.slice(0, room);
    this.#tail += text.slice(room);
    // Cut seldom: each cut copies.
    if (this.#tail.length > 2 * TAIL_CHARACTERS) this.#cut();
  }

  /** Without colours; a bar that was drawn over and over is its last state. */
  text(): string {
    if (this.#tail.length > TAIL_CHARACTERS) this.#cut();
    const gap = this.#omitted === 0 ? '' : `\n… ${this.#omitted} characters left out …\n`;
    return `${this.#head}${gap}${this.#tail}`
      .replaceAll('\r\n', '\n')
      .replace(/^.*\r(?=.)/gm, '')
      .replace(CONTROLS, '');
  }

  #cut(): void {
    const over = this.#tail.length - TAIL_CHARACTERS;
    this.#omitted += over;
    this.#tail = this.#tail.slice(over);
  }
}
