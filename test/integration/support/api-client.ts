/** A plain HTTPS client of the embedded API, so that tests see exactly what goes over the wire. */
import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';

export interface Answer {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON; empty where it is none. */
  readonly body: Body;
}

/** What any answer's JSON may have; a test that looks at what is not there fails. */
export interface Body {
  readonly [field: string]: unknown;
  readonly metadata: {
    readonly [field: string]: unknown;
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly continue?: string;
  };
  readonly items: readonly Body[];
  readonly data: Readonly<Record<string, string>>;
  readonly message: string;
  readonly reason: string;
  readonly details: { readonly causes: readonly { readonly field: string }[] };
}

export interface WatchEvent {
  readonly type: string;
  readonly object: Body;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface KubeconfigFile {
  readonly clusters: readonly [
    { readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string } },
  ];
  readonly users: readonly [{ readonly user: { readonly token: string } }];
}

export class ApiClient {
  readonly url: string;
  readonly token: string;
  readonly agent: Agent;

  constructor(kubeconfig: KubeconfigFile) {
    const [{ cluster }] = kubeconfig.clusters;
    this.url = cluster.server;
    this.token = kubeconfig.users[0].user.token;
    this.agent = new Agent({
      keepAlive: true,
      ca: Buffer.from(cluster['certificate-authority-data'], 'base64'),
    });
  }

  static async from(kubeconfigPath: string): Promise<ApiClient> {
    return new ApiClient(parse(await readFile(kubeconfigPath, 'utf8')) as KubeconfigFile);
  }

  close(): void {
    this.agent.destroy();
  }

  /** The response as it begins to come. */
  open(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const { body, contentType = 'application/json' } = options;
    const bytes =
      body === undefined || Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.url), {
        method,
        agent: this.agent,
        headers: {
          Authorization: `Bearer ${this.token}`,
          ...(bytes === undefined
            ? {}
            : { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(bytes) }),
          ...options.headers,
        },
      });
      outgoing.on('response', resolve);
      outgoing.on('error', reject);
      outgoing.end(bytes);
    });
  }

  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const response = await this.open(method, path, options);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString('utf8');
    const json = /json/.test(response.headers['content-type'] ?? '') && text !== '';
    return {
      code: response.statusCode ?? 0,
      headers: response.headers,
      text,
      body: (json ? JSON.parse(text) : {}) as Body,
    };
  }

  get(path: string, options?: CallOptions): Promise<Answer> {
    return this.call('GET', path, options);
  }

  post(path: string, body: unknown, options: CallOptions = {}): Promise<Answer> {
    return this.call('POST', path, { ...options, body });
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.call('PUT', path, { body });
  }

  /** A JSON merge patch. */
  patch(path: string, body: unknown): Promise<Answer> {
    return this.call('PATCH', path, { body, contentType: 'application/merge-patch+json' });
  }

  delete(path: string, body?: unknown): Promise<Answer> {
    return this.call('DELETE', path, body === undefined ? {} : { body });
  }

  /** The events of a watch; ends when the server ends it. */
  async *watch(path: string, options: CallOptions = {}): AsyncGenerator<WatchEvent> {
    const response = await this.open('GET', path, options);
    let rest = '';
    for await (const chunk of response) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as WatchEvent;
    }
  }
}

/** The first events of a watch; the rest is left. */
export async function take(events: AsyncGenerator<WatchEvent>, count: number): Promise<WatchEvent[]> {
  const taken: WatchEvent[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}
