/** Collects garbage in every thread of a process that was started with `--inspect`, over the inspector's protocol. */

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId?: string; readonly message?: string };
}

/** The arguments that a Node needs for {@link collectEverywhere}. */
export const INSPECTED = { NODE_OPTIONS: '--inspect=127.0.0.1:0' } as const;

/** @param log what the process wrote to stderr, where Node says its inspector's address */
export async function collectEverywhere(log: string): Promise<void> {
  const address = /Debugger listening on (ws:\S+)/.exec(log)?.[1];
  if (address === undefined) throw new Error(`no inspector's address in:\n${log}`);
  const socket = new WebSocket(address);
  const waiting = new Map<string, () => void>();
  const workers: string[] = [];
  let nextId = 1;
  socket.addEventListener('message', ({ data }) => {
    const { id, method, params = {} } = JSON.parse(String(data)) as Reply;
    if (method === 'NodeWorker.attachedToWorker' && params.sessionId !== undefined)
      workers.push(params.sessionId);
    if (method === 'NodeWorker.receivedMessageFromWorker') {
      const inner = JSON.parse(params.message ?? '{}') as Reply;
      waiting.get(`${params.sessionId} ${inner.id}`)?.();
    }
    if (id !== undefined) waiting.get(`main ${id}`)?.();
  });
  const send = async (method: string, params: object = {}): Promise<void> => {
    const id = nextId++;
    const replied = new Promise<void>((resolve) => waiting.set(`main ${id}`, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    await replied;
  };
  const sendToWorker = async (sessionId: string, method: string): Promise<void> => {
    const id = nextId++;
    const replied = new Promise<void>((resolve) => waiting.set(`${sessionId} ${id}`, resolve));
    await send('NodeWorker.sendMessageToWorker', { sessionId, message: JSON.stringify({ id, method }) });
    await replied;
  };
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error(`no inspector at ${address}`)));
  });
  try {
    await send('NodeWorker.enable', { waitForDebuggerOnStart: false });
    for (let round = 0; round < 2; round++) {
      await send('HeapProfiler.collectGarbage');
      for (const worker of workers) await sendToWorker(worker, 'HeapProfiler.collectGarbage');
    }
    await send('NodeWorker.disable');
  } finally {
    socket.close();
  }
}
