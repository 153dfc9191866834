/**
 * What functions wrote: on a cluster from their pods' logs, else from the platform's log service,
 * `/v1/logs/<namespace>/<function>` on the internal listener.
 */
import { createInterface } from 'node:readline';
import type { FissionFunction } from '../api/index.ts';
import type { Cluster } from './cluster.ts';
import { CliError } from './errors.ts';
import { runsInPods } from './install/runs-in-pods.ts';
import { readPodLogs } from './pod-logs.ts';
import { serviceMessage } from './storage.ts';

export interface LogLine {
  /** RFC 3339. */
  readonly time: string;
  readonly requestId: string;
  /** `pod`: a container's output, of which Kubernetes keeps no streams apart. */
  readonly stream: 'stdout' | 'stderr' | 'platform' | 'pod';
  readonly line: string;
}

export interface LogQuery {
  readonly tail?: number;
  /** Unix time from which on. */
  readonly sinceMs?: number;
  readonly requestId?: string;
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** The lines that are kept of a function, oldest first; with `follow` also those to come, without end. */
export async function* readLogs(
  cluster: Cluster,
  fn: FissionFunction,
  query: LogQuery,
): AsyncGenerator<LogLine> {
  if (await runsInPods(cluster)) yield* readPodLogs(cluster, fn, query);
  else yield* readServiceLogs(cluster, fn.metadata.name, query);
}

async function* readServiceLogs(cluster: Cluster, name: string, query: LogQuery): AsyncGenerator<LogLine> {
  const parameters = new URLSearchParams();
  if (query.tail !== undefined) parameters.set('tail', String(query.tail));
  if (query.sinceMs !== undefined) parameters.set('since', String(query.sinceMs));
  if (query.requestId !== undefined) parameters.set('requestId', query.requestId);
  if (query.follow === true) parameters.set('follow', 'true');
  const path = `/v1/logs/${encodeURIComponent(cluster.namespace)}/${encodeURIComponent(name)}?${parameters.toString()}`;
  const answer = await cluster.service(
    'router-internal',
    path,
    query.signal === undefined ? {} : { signal: query.signal },
  );
  if (answer.status >= 300) {
    throw new CliError(`the logs of function '${name}' cannot be read`, {
      why: serviceMessage(answer.status, await answer.text()),
    });
  }
  for await (const text of createInterface({ input: answer.body, crlfDelay: Infinity })) {
    if (text !== '') yield JSON.parse(text) as LogLine;
  }
}

/** A line for people; `detail` adds the stream and the request. */
export function showLogLine({ time, requestId, stream, line }: LogLine, detail: boolean): string {
  return detail ? `[${time}] ${stream} ${requestId === '' ? '-' : requestId} ${line}` : `[${time}] ${line}`;
}
