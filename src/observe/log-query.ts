import type { LogLine } from './log-line.ts';

export interface LogQuery {
  readonly namespace: string;
  readonly function: string;
  /** Only the last so many. */
  readonly tail?: number;
  /** Only lines of this time and later. */
  readonly sinceMs?: number;
  readonly requestId?: string;
}

export function matches(line: LogLine, { sinceMs, requestId }: LogQuery): boolean {
  return (
    (sinceMs === undefined || line.timeMs >= sinceMs) &&
    (requestId === undefined || line.requestId === requestId)
  );
}
