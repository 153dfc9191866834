/** Cuts what a process writes into lines and reads the request's id that the runtime puts before each. */
import { StringDecoder } from 'node:string_decoder';

export interface ProcessLine {
  /** '' where the line belongs to no request. */
  readonly requestId: string;
  readonly line: string;
}

/** Longer lines are cut there, so that a process without line ends cannot fill the memory. */
const LINE_LIMIT = 64 * 1024;
// oxlint-disable-next-line no-control-regex -- the marks are control characters, which no text has there
const MARKED = /^\x1e([\x21-\x7e]{1,192})\x1f/;

export class LogLines {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: ProcessLine) => void;
  #rest = '';

  constructor(onLine: (line: ProcessLine) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.write(Buffer.from(chunk))).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#emit(line);
    while (this.#rest.length > LINE_LIMIT) {
      this.#emit(this.#rest.slice(0, LINE_LIMIT));
      this.#rest = this.#rest.slice(LINE_LIMIT);
    }
  }

  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    if (rest !== '') this.#emit(rest);
  }

  #emit(text: string): void {
    const mark = MARKED.exec(text);
    const line = (mark === null ? text : text.slice(mark[0].length)).replace(/\r$/, '');
    this.#onLine({ requestId: mark?.[1] ?? '', line });
  }
}
