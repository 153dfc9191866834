/**
 * What functions wrote, from the logs of their pods: on a cluster no part of the platform keeps lines. Wasm hosts
 * write each line of a guest as one JSON object (src/roles/guest-logs.ts); a container's lines are as it wrote them.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { FissionFunction } from '../api/index.ts';
import { ApiError, type KubeObject, resourcePath } from '../kube/index.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import type { LogLine, LogQuery } from './logs.ts';
import { byTime, compareTimes, mergedTail } from './log-order.ts';
import { type PodLine, podLines } from './pod-log-stream.ts';

interface Pod extends KubeObject {
  spec?: { containers?: readonly { name: string; args?: readonly string[] }[] };
}

/** A container whose log has lines of the function. */
interface Source {
  /** Of the pod's log. */
  readonly path: string;
  readonly container: string;
  /** Whether it writes guests' lines as JSON. */
  readonly isWasmHost: boolean;
}

/** How often new pods are looked for while following. */
const LOOK_EVERY_MS = 1_000;
/** Lines that wait for a reader of the command's output who is slower than the functions write. */
const BACKLOG = 10_000;

/** The lines that the cluster keeps of a function's pods, in the order of their times; with `follow` those to come. */
export async function* readPodLogs(
  cluster: Cluster,
  fn: FissionFunction,
  query: LogQuery,
): AsyncGenerator<LogLine> {
  const places = new Map<string, Place>();
  const sources = await sourcesOf(cluster, fn);
  const found = await Promise.all(
    sources.map(async (source) => {
      const place = new Place();
      places.set(source.path, place);
      return readKept(cluster, fn, source, query, place);
    }),
  );
  yield* mergedTail(found, query.tail);
  if (query.follow === true) yield* follow(cluster, fn, query, places);
}

/** Where in a pod's log a reader is: the API goes on from a second, so lines of it that were read come again. */
class Place {
  #time: string | undefined;
  #sameTime = 0;
  #repeated = 0;

  get time(): string | undefined {
    return this.#time;
  }

  /** To be called where reading starts anew from {@link time}. */
  restart(): void {
    this.#repeated = this.#sameTime;
  }

  /** Whether the line was not read before. */
  take(time: string): boolean {
    const order = this.#time === undefined ? 1 : compareTimes(time, this.#time);
    if (order < 0) return false;
    if (order === 0 && this.#repeated > 0) {
      this.#repeated -= 1;
      return false;
    }
    this.#sameTime = order === 0 ? this.#sameTime + 1 : 1;
    this.#time = time;
    this.#repeated = 0;
    return true;
  }
}

async function readKept(
  cluster: Cluster,
  fn: FissionFunction,
  source: Source,
  query: LogQuery,
  place: Place,
): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  const { tail, sinceMs, signal } = query;
  // A host's newest lines may be another function's.
  const tailLines =
    source.isWasmHost || query.requestId !== undefined || tail === undefined ? undefined : String(tail);
  const parameters = {
    container: source.container,
    timestamps: 'true',
    tailLines,
    sinceTime: sinceMs === undefined ? undefined : inSeconds(new Date(sinceMs).toISOString()),
  };
  for await (const line of podLines(cluster.client, source.path, parameters, signal)) {
    place.take(line.time);
    const shown = lineOf(line, fn, source, query);
    if (shown === null) continue;
    lines.push(shown);
    // Twice the tail, so that not every line moves all of them.
    if (tail !== undefined && lines.length > 2 * tail + 100) lines.splice(0, lines.length - tail);
  }
  return lines;
}

/** Goes on with every pod from where it was read to, and with pods that come, until the signal. */
async function* follow(
  cluster: Cluster,
  fn: FissionFunction,
  query: LogQuery,
  places: Map<string, Place>,
): AsyncGenerator<LogLine> {
  const stop = new AbortController();
  const signal = query.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, query.signal]);
  const waiting: LogLine[] = [];
  const running = new Map<string, Promise<void>>();
  const failures: unknown[] = [];
  let wake = Promise.withResolvers<undefined>();
  const room = async (): Promise<void> => {
    while (waiting.length >= BACKLOG && !signal.aborted) await delay(20, undefined, { signal });
  };
  const read = async (source: Source): Promise<void> => {
    const place = places.get(source.path) ?? new Place();
    places.set(source.path, place);
    place.restart();
    const parameters = {
      container: source.container,
      timestamps: 'true',
      follow: 'true',
      sinceTime: place.time === undefined ? undefined : inSeconds(place.time),
    };
    for await (const line of podLines(cluster.client, source.path, parameters, signal)) {
      if (!place.take(line.time)) continue;
      const shown = lineOf(line, fn, source, query);
      if (shown === null) continue;
      waiting.push(shown);
      wake.resolve(undefined);
      await room();
    }
  };
  const look = async (): Promise<void> => {
    while (!signal.aborted) {
      for (const source of await sourcesOf(cluster, fn)) {
        if (running.has(source.path)) continue;
        const reading = read(source)
          .catch((error: unknown) => {
            // A stream that breaks off is taken up again; a refusal stays one.
            if (!signal.aborted && error instanceof ApiError) failures.push(error);
          })
          .finally(() => {
            running.delete(source.path);
            wake.resolve(undefined);
          });
        running.set(source.path, reading);
      }
      await delay(LOOK_EVERY_MS, undefined, { signal });
    }
  };
  const looking = look().catch((error: unknown) => {
    if (!signal.aborted) failures.push(error);
    wake.resolve(undefined);
  });
  const onAbort = (): void => wake.resolve(undefined);
  signal.addEventListener('abort', onAbort);
  try {
    while (!signal.aborted) {
      await wake.promise;
      wake = Promise.withResolvers<undefined>();
      yield* waiting.splice(0).toSorted(byTime);
      if (failures.length > 0) throw failures[0];
    }
  } finally {
    stop.abort();
    await Promise.all([looking, ...running.values()]);
  }
}

async function sourcesOf(cluster: Cluster, fn: FissionFunction): Promise<Source[]> {
  const { namespace = 'default', uid = '' } = fn.metadata;
  const { name: environment = '', namespace: environmentNamespace = '' } = fn.spec.environment;
  const inNamespace = environmentNamespace === '' ? '' : `,environmentNamespace=${environmentNamespace}`;
  const [own, hosts] = await Promise.all([
    cluster.list<Pod>(RESOURCES.pods, namespace, `functionUid=${uid}`),
    environment === ''
      ? []
      : cluster.list<Pod>(
          RESOURCES.pods,
          namespace,
          `fissium.io/part=wasm-host,environmentName=${environment}${inNamespace}`,
        ),
  ]);
  return [...own, ...hosts].flatMap((pod) => {
    const containers = pod.spec?.containers ?? [];
    const runs = containers.filter(({ name }) => name !== 'fetcher');
    const container = runs.find(({ name }) => name === environment) ?? runs[0];
    if (container === undefined) return [];
    return {
      path: resourcePath(RESOURCES.pods, namespace, pod.metadata.name, 'log'),
      container: container.name,
      // As a function's own pods run a host too (newdeploy), the labels do not tell.
      isWasmHost: container.args?.[0] === 'wasm-host',
    };
  });
}

/** The line as the command shows it; null where it is none of the function, or not one that is asked for. */
function lineOf(
  { time, text }: PodLine,
  fn: FissionFunction,
  { isWasmHost }: Source,
  { requestId, sinceMs }: LogQuery,
): LogLine | null {
  const line = isWasmHost ? guestLine(text, fn) : { time, requestId: '', stream: 'pod' as const, line: text };
  if (line === null || (sinceMs !== undefined && Date.parse(line.time) < sinceMs)) return null;
  if (requestId === undefined) return line;
  // Nothing tells which request a container wrote a line for but the line itself.
  const isOfRequest = isWasmHost ? line.requestId === requestId : line.line.includes(requestId);
  return isOfRequest ? line : null;
}

/** A host writes its own lines too, and those of other functions. */
function guestLine(text: string, { metadata }: FissionFunction): LogLine | null {
  if (!text.startsWith('{')) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { time, namespace, function: name, requestId, stream, msg } = value as Record<string, unknown>;
  if (namespace !== (metadata.namespace ?? 'default') || name !== metadata.name) return null;
  if (typeof time !== 'string' || typeof requestId !== 'string' || typeof msg !== 'string') return null;
  if (stream !== 'stdout' && stream !== 'stderr' && stream !== 'platform') return null;
  return { time, requestId, stream, line: msg };
}

/** Kubernetes' times have no fractions. */
function inSeconds(time: string): string {
  return `${time.slice(0, 19)}Z`;
}
