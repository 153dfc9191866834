import { FissiumError } from '../errors.ts';

/** One line of a function's log. */
export interface LogLine {
  readonly namespace: string;
  readonly function: string;
  readonly requestId: string;
  /** `platform`: what the platform says about the function, failures among it. */
  readonly stream: 'stdout' | 'stderr' | 'platform';
  /** Without its line end. */
  readonly line: string;
  readonly timeMs: number;
}

const STREAMS: ReadonlySet<unknown> = new Set(['stdout', 'stderr', 'platform']);
/** Characters of one line that are kept. */
export const LINE_LIMIT = 16 * 1024;

const DNS_NAME = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/**
 * Refuses what is not a name that Kubernetes allows, and with it whatever could lead out of the log folder.
 * @throws FissiumError BAD_REQUEST
 */
export function checkName(what: 'namespace' | 'function', name: string): void {
  if (name.length <= 253 && DNS_NAME.test(name)) return;
  throw new FissiumError(
    'BAD_REQUEST',
    `"${name.slice(0, 80)}" is no name of a ${what}: lower case letters, digits, "-" and "." are allowed, at most 253.`,
  );
}

/** The line itself, or a copy cut to {@link LINE_LIMIT} characters with a mark that says so. */
export function cutLine(line: LogLine): LogLine {
  const { length } = line.line;
  if (length <= LINE_LIMIT) return line;
  const kept = line.line.slice(0, LINE_LIMIT).toWellFormed();
  return { ...line, line: `${kept} … [cut: ${length - LINE_LIMIT} more characters]` };
}

/** A line as it is stored, with its line end. */
export function encodeLine({ timeMs, requestId, stream, line }: LogLine): string {
  return `${JSON.stringify({ t: timeMs, r: requestId, s: stream, l: line })}\n`;
}

/** A stored line, or null where it is torn (the process died while it wrote) or not ours. */
export function decodeLine(text: string, namespace: string, functionName: string): LogLine | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { t, r, s, l } = value as Record<string, unknown>;
  if (typeof t !== 'number' || Number.isNaN(new Date(t).getTime())) return null;
  if (typeof r !== 'string' || typeof l !== 'string' || !STREAMS.has(s)) return null;
  return {
    namespace,
    function: functionName,
    requestId: r,
    stream: s as LogLine['stream'],
    line: l,
    timeMs: t,
  };
}
