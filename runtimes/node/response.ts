/** A response with what Express adds to Node's own, as functions for Fission use it. */
import { ServerResponse, STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { FunctionRequest } from './request.ts';

type HeaderValue = string | number | readonly string[];

export class FunctionResponse extends ServerResponse<FunctionRequest> {
  status(code: number): this {
    this.statusCode = code;
    return this;
  }

  set(name: string | Readonly<Record<string, HeaderValue>>, value?: HeaderValue): this {
    const fields = typeof name === 'string' ? { [name]: value ?? '' } : name;
    for (const [field, content] of Object.entries(fields)) this.setHeader(field, content);
    return this;
  }

  header(name: string, value: HeaderValue): this {
    return this.set(name, value);
  }

  get(name: string): number | string | string[] | undefined {
    return this.getHeader(name);
  }

  append(name: string, value: string | readonly string[]): this {
    this.appendHeader(name, value);
    return this;
  }

  type(type: string): this {
    return this.set('Content-Type', type.includes('/') ? type : (TYPES[type] ?? `text/${type}`));
  }

  json(value: unknown): this {
    if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', 'application/json; charset=utf-8');
    return this.#sendBytes(Buffer.from(JSON.stringify(value) ?? 'null'));
  }

  /** Ends the response with a body of any kind: text, bytes, or anything else as JSON. */
  send(body?: unknown): this {
    if (body === undefined || body === null) return this.#sendBytes(Buffer.alloc(0));
    if (typeof body === 'string') {
      if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', 'text/html; charset=utf-8');
      return this.#sendBytes(Buffer.from(body));
    }
    if (body instanceof Uint8Array || body instanceof ArrayBuffer) {
      if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', 'application/octet-stream');
      return this.#sendBytes(body instanceof ArrayBuffer ? Buffer.from(body) : Buffer.from(body));
    }
    return this.json(body);
  }

  sendStatus(code: number): this {
    return this.status(code)
      .type('text')
      .send(STATUS_CODES[code] ?? String(code));
  }

  redirect(first: number | string, second?: string): this {
    const [status, url] = typeof first === 'number' ? [first, second ?? '/'] : [302, first];
    return this.status(status).set('Location', url).send();
  }

  /** Sends a stream as the body; one that fails breaks the connection off, so that nobody takes it for whole. */
  async sendStream(body: Readable | AsyncIterable<unknown> | ReadableStream): Promise<void> {
    const source =
      body instanceof Readable
        ? body
        : body instanceof ReadableStream
          ? Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])
          : Readable.from(body);
    // An event has to leave when it is there, not with the first part of the body.
    this.flushHeaders();
    await pipeline(source, this);
  }

  #sendBytes(bytes: Buffer): this {
    const hasNoBody = this.statusCode === 204 || this.statusCode === 304;
    if (!hasNoBody && !this.hasHeader('Transfer-Encoding')) this.setHeader('Content-Length', bytes.length);
    if (hasNoBody) this.removeHeader('Content-Type');
    this.end(hasNoBody || this.req.method === 'HEAD' ? undefined : bytes);
    return this;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  json: 'application/json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  html: 'text/html; charset=utf-8',
  bin: 'application/octet-stream',
};
