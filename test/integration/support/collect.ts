/** Collects garbage in every thread of a process that was started with `--inspect`, over the inspector's protocol. */

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId?: string; readonly message?: string };
}

/** The arguments that a Node needs for {@link collectEverywhere}. */
export const INSPECTED = { NODE_OPTIONS: '--inspect=127.0.0.1:0' } as const;

/** A thread that ends replies to nothing, and Node does not always say that it ended. */
const REPLY_MS = 5_000;

/** @param log what the process wrote to stderr, where Node says its inspector's address */
export async function collectEverywhere(log: string): Promise<void> {
  const address = /Debugger listening on (ws:\S+)/.exec(log)?.[1];
  if (address === undefined) throw new Error(`no inspector's address in:\n${log}`);
  const socket = new WebSocket(address);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error(`no inspector at ${address}`)));
  });
  try {
    await new Inspector(socket).collect();
  } finally {
    socket.close();
  }
}

/** One session with a process and, through it, with its threads. */
class Inspector {
  readonly #socket: WebSocket;
  /** Commands without a reply, by thread and number. */
  readonly #waiting = new Map<string, () => void>();
  readonly #workers = new Set<string>();
  #nextId = 1;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#received(JSON.parse(String(data)) as Reply));
  }

  /** Twice: what the first round frees may hold something of another thread. */
  async collect(): Promise<void> {
    await this.#send('NodeWorker.enable', { waitForDebuggerOnStart: false });
    for (let round = 0; round < 2; round++) {
      await this.#send('HeapProfiler.collectGarbage');
      for (const worker of this.#workers) await this.#sendTo(worker, 'HeapProfiler.collectGarbage');
    }
    await this.#send('NodeWorker.disable');
  }

  #received({ id, method, params: { sessionId = '', message = '{}' } = {} }: Reply): void {
    if (id !== undefined) this.#over(`main ${id}`);
    if (method === 'NodeWorker.attachedToWorker') this.#workers.add(sessionId);
    if (method === 'NodeWorker.receivedMessageFromWorker')
      this.#over(`${sessionId} ${(JSON.parse(message) as Reply).id}`);
    // A thread that ends has no garbage, and replies to nothing.
    if (method === 'NodeWorker.detachedFromWorker') {
      this.#workers.delete(sessionId);
      for (const key of this.#waiting.keys()) if (key.startsWith(`${sessionId} `)) this.#over(key);
    }
  }

  #over(key: string): void {
    this.#waiting.get(key)?.();
    this.#waiting.delete(key);
  }

  async #send(method: string, params: object = {}): Promise<void> {
    const id = this.#nextId++;
    const replied = this.#replyTo(`main ${id}`);
    this.#socket.send(JSON.stringify({ id, method, params }));
    await replied;
  }

  async #sendTo(sessionId: string, method: string): Promise<void> {
    if (!this.#workers.has(sessionId)) return;
    const id = this.#nextId++;
    const replied = this.#replyTo(`${sessionId} ${id}`);
    await this.#send('NodeWorker.sendMessageToWorker', {
      sessionId,
      message: JSON.stringify({ id, method }),
    });
    await replied;
  }

  #replyTo(key: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => this.#over(key), REPLY_MS);
    this.#waiting.set(key, () => {
      clearTimeout(timer);
      resolve();
    });
    return promise;
  }
}
