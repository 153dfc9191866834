/** A WebSocket whose messages a test takes one after another. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

export interface OpenSocket {
  readonly socket: WebSocket;
  /** The next message, as text. */
  readonly next: () => Promise<string>;
  readonly closed: Promise<{ readonly code: number; readonly wasClean: boolean }>;
}

/** Opens one for the rest of this test. @throws Error where the handshake is refused */
export async function openSocket(url: string): Promise<OpenSocket> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'));
  onTestFinished(() => socket.close());
  const received: string[] = [];
  const waiting: ((text: string) => void)[] = [];
  socket.addEventListener('message', ({ data }) => {
    const text = String(data);
    const take = waiting.shift();
    if (take === undefined) received.push(text);
    else take(text);
  });
  const closed = new Promise<{ code: number; wasClean: boolean }>((resolve) => {
    socket.addEventListener('close', ({ code, wasClean }) => resolve({ code, wasClean }));
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('the WebSocket was refused')));
  });
  const next = (): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = received.shift();
    if (first === undefined) waiting.push(resolve);
    else resolve(first);
    return promise;
  };
  return { socket, next, closed };
}

/** The answer to a handshake that is refused. @throws Error where it is not */
export function refusalOf(url: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
      },
    });
    asked.once('response', (answer) => {
      text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
    });
    asked.once('upgrade', (_answer, socket) => {
      socket.destroy();
      reject(new Error(`${url} was upgraded`));
    });
    asked.once('error', reject);
    asked.end();
  });
}
