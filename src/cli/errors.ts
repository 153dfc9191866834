/** How the CLI fails: what failed, why, and how to fix it. */

/** Exit code of a command that was called wrongly: nothing was tried. */
export const EXIT_USAGE = 2;

export interface CliErrorParts {
  readonly why?: string;
  readonly fix?: string;
  /** @default 1 */
  readonly exitCode?: number;
  readonly cause?: unknown;
}

/** A failure that is printed as `error: what`, `why: …`, `fix: …`, without a stack. */
export class CliError extends Error {
  readonly why: string | undefined;
  readonly fix: string | undefined;
  readonly exitCode: number;

  constructor(what: string, parts: CliErrorParts = {}) {
    super(what, 'cause' in parts ? { cause: parts.cause } : undefined);
    this.name = 'CliError';
    this.why = parts.why;
    this.fix = parts.fix;
    this.exitCode = parts.exitCode ?? 1;
  }
}

/** The lines in which a failure is shown. */
export function errorLines(error: CliError): string[] {
  const lines = [`error: ${error.message}`];
  if (error.why !== undefined && error.why !== '') lines.push(...indented('why', error.why));
  if (error.fix !== undefined && error.fix !== '') lines.push(...indented('fix', error.fix));
  return lines;
}

function indented(label: string, value: string): string[] {
  return value.split('\n').map((line, index) => (index === 0 ? `  ${label}: ${line}` : `       ${line}`));
}

/** The text of anything that was thrown, its causes included: `fetch failed: connect ECONNREFUSED …`. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const parts: string[] = [];
  for (let error: unknown = thrown; error instanceof Error && parts.length < 4; error = error.cause) {
    // An AggregateError of a failed connect has an empty message and one error for each address.
    const inner = error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : '';
    const text = error.message === '' ? inner : error.message;
    if (text !== '' && !parts.includes(text)) parts.push(text);
  }
  return parts.join(': ');
}

/** The first system error code (`ECONNREFUSED`, `ENOENT`, …) among the error and its causes. */
export function systemCode(thrown: unknown): string | undefined {
  for (
    let error: unknown = thrown, depth = 0;
    error instanceof Error && depth < 6;
    error = error.cause, depth++
  ) {
    if ('code' in error && typeof error.code === 'string' && /^E[A-Z0-9_]+$/.test(error.code))
      return error.code;
    if (error instanceof AggregateError) {
      const code = error.errors.map(systemCode).find((found) => found !== undefined);
      if (code !== undefined) return code;
    }
  }
  return undefined;
}
