import { expect } from 'vitest';

/**
 * Functions whose answers go on for as long as somebody listens: `socket` echoes until it is told to quit, `events`
 * sends a number each time that it is called with `?next`. They say in their logs when a client is gone.
 */
export const PYTHON_STREAMS = `
import threading
from flask import Response, request

step = threading.Semaphore(0)

def socket(ws, clients):
    while True:
        message = ws.receive()
        if message is None or message == "quit":
            print("over", flush=True)
            return
        ws.send("echo " + message)

def events():
    if "next" in request.args:
        step.release()
        return "ok"
    def numbers():
        number = 0
        try:
            while True:
                yield f"data: {number}\\n\\n"
                number += 1
                # A comment now and then, by which the end of the connection is noticed.
                while not step.acquire(timeout=0.2):
                    yield ": still here\\n\\n"
        finally:
            print("the client went", flush=True)
    return Response(numbers(), mimetype="text/event-stream")
`;

export const NODE_STREAMS = `
const { EventEmitter } = require('node:events');
const steps = new EventEmitter();

exports.socket = (ws) => {
  ws.on('message', (message) => {
    if (String(message) === 'quit') ws.close();
    else ws.send('echo ' + message);
  });
  ws.on('close', () => console.log('over'));
};

exports.events = async ({ request, response }) => {
  if ('next' in request.query) {
    steps.emit('next');
    return { status: 200, body: 'ok' };
  }
  let number = 0;
  const send = () => response.write('data: ' + number++ + '\\n\\n');
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send();
  steps.on('next', send);
  response.on('close', () => {
    steps.off('next', send);
    console.log('the client went');
  });
};
`;

/** Reads the events 0, 1 and 2 of `events` at `url`, each of which is made only when the one before was read. */
export async function readEvents(answer: Response, url: string): Promise<void> {
  const reader = (answer.body ?? new ReadableStream<Uint8Array>()).getReader();
  let text = '';
  for (const wanted of [0, 1, 2]) {
    while (!text.includes(`data: ${wanted}\n\n`)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended after ${text}`);
      text += Buffer.from(value).toString();
    }
    // Made only when the one before was read: nothing is held back until there is more of it.
    expect(text).not.toContain(`data: ${wanted + 1}\n\n`);
    expect((await fetch(`${url}?next`)).status).toBe(200);
  }
}
