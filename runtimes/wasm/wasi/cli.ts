/** `wasi:cli`: what a command sees of the world it runs in; here, only what its spec grants. */
import { BodyReader } from './body-reader.ts';
import { OUTPUT_BUFFER_BYTES } from './limits.ts';
import { ALWAYS_READY } from './readiness.ts';
import { Resource } from './resource.ts';
import type { Result } from './result.ts';
import type { GuestState } from './state.ts';
import { InputStream, OutputStream, type OutputSink } from './streams.ts';

export function getEnvironment(state: GuestState): [string, string][] {
  state.check();
  return state.grants.env.map(([name, value]) => [name, value]);
}

export function getArguments(state: GuestState): string[] {
  state.check();
  return [...state.grants.args];
}

export function exit(state: GuestState, status: Result<undefined, undefined>): never {
  state.check();
  return state.exit(status.tag === 'ok' ? 0 : 1);
}

export function exitWithCode(state: GuestState, code: number): never {
  state.check();
  return state.exit(code);
}

/** Standard input is empty: a request comes as a request. */
export function getStdin(state: GuestState): InputStream {
  state.check();
  const stdin = new InputStream(state, new BodyReader(null, () => ({ message: 'standard input is empty' })));
  stdin.lasting = true;
  return stdin;
}

/** Standard output or error: goes to the function's log. */
export function getLogStream(state: GuestState, stream: 'stdout' | 'stderr'): OutputStream {
  state.check();
  const sink: OutputSink = {
    ...ALWAYS_READY,
    room: () => OUTPUT_BUFFER_BYTES,
    takeFailure: () => null,
    write: (chunk) => log.state.log(stream, chunk),
  };
  const log = new OutputStream(state, sink);
  log.lasting = true;
  return log;
}

/** Never made: neither end is a terminal. The classes are there for components that link against them. */
export abstract class TerminalInput extends Resource {}
export abstract class TerminalOutput extends Resource {}
