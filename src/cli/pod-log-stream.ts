/** A container's log from the Kubernetes API, line by line. */
import { createInterface } from 'node:readline';

import { ApiError, type KubeClient } from '../kube/index.ts';

export interface PodLine {
  /** When the container wrote it: RFC 3339 in UTC, up to nanoseconds. */
  readonly time: string;
  readonly text: string;
}

const WITH_TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d) ?(.*)$/s;

/**
 * The lines of a log that is asked for with `timestamps=true`; none where the container is starting, or its pod is
 * gone. @throws ApiError where it may not be read
 */
export async function* podLines(
  client: KubeClient,
  path: string,
  parameters: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<PodLine> {
  const body = await client.openStream(path, parameters, signal).catch((error: unknown) => {
    if (isPassing(error)) return null;
    throw error;
  });
  if (body === null) return;
  try {
    for await (const text of createInterface({ input: body, crlfDelay: Infinity })) {
      const line = lineOf(text);
      if (line !== null) yield line;
    }
  } finally {
    body.destroy();
  }
}

/** Kubelets write times in the zone of their node. */
function lineOf(text: string): PodLine | null {
  const [, time = '', zone = '', rest = ''] = WITH_TIME.exec(text) ?? [];
  if (time === '') return null;
  if (zone === 'Z') return { time: `${time}Z`, text: rest };
  const [whole = '', fraction] = time.split('.');
  const inUtc = new Date(`${whole}${zone}`).toISOString().slice(0, 19);
  return { time: fraction === undefined ? `${inUtc}Z` : `${inUtc}.${fraction}Z`, text: rest };
}

/** Whether a log cannot be read yet, or no more: 400 while the container is not started, 404 when its pod is gone. */
function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 400 || error.status === 404);
}
