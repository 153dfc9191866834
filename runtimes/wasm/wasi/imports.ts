/**
 * The binding to code that jco generated: objects keyed by interface, without versions, since every 0.2.x is
 * the same here. Generated code finds resource classes in them, checks with `instanceof`, and calls
 * constructors and static functions without a word about whose they are; so these carry the invocation.
 */
import * as cli from './cli.ts';
import * as clocks from './clocks.ts';
import * as config from './config.ts';
import * as filesystem from './filesystem/index.ts';
import { Fields } from './http/fields.ts';
import { FutureTrailers, IncomingBody, IncomingRequest, IncomingResponse } from './http/incoming.ts';
import { FutureIncomingResponse, handle } from './http/outgoing-handler.ts';
import { OutgoingRequest, RequestOptions } from './http/outgoing-request.ts';
import { OutgoingBody, OutgoingResponse, ResponseOutparam } from './http/outgoing.ts';
import { IoError } from './io-error.ts';
import * as keyvalue from './keyvalue.ts';
import { poll, Pollable } from './poll.ts';
import * as random from './random.ts';
import * as sockets from './sockets.ts';
import type { GuestState } from './state.ts';
import { InputStream, OutputStream } from './streams.ts';

/**
 * The functions that may wait, in the form in which jco's transpiler takes its option `asyncImports`: their
 * results may be promises, and a guest that calls one is suspended.
 */
export const ASYNC_IMPORTS: readonly string[] = [
  'wasi:io/poll#[method]pollable.block',
  'wasi:io/poll#poll',
  'wasi:io/streams#[method]input-stream.blocking-read',
  'wasi:io/streams#[method]input-stream.blocking-skip',
  'wasi:io/streams#[method]output-stream.blocking-write-and-flush',
  'wasi:io/streams#[method]output-stream.blocking-flush',
  'wasi:io/streams#[method]output-stream.blocking-write-zeroes-and-flush',
  'wasi:io/streams#[method]output-stream.blocking-splice',
];

/**
 * The functions whose lists of bytes may be views of guest memory: they have copied what they keep by the time at which
 * they return.
 */
export const VIEWING_IMPORTS: ReadonlySet<string> = new Set([
  'wasi:io/streams#[method]output-stream.write',
  'wasi:io/streams#[method]output-stream.blocking-write-and-flush',
  'wasi:filesystem/types#[method]descriptor.write',
]);

/** Whose functions these are: asked at each call, since an instance that is reset serves one invocation after another. */
export interface StateSource {
  readonly state: GuestState;
}

/** An interface's functions and classes, by their names in JavaScript. */
export type InterfaceImports = Readonly<Record<string, unknown>>;
export type WasiImports = Readonly<Record<string, InterfaceImports>>;

/**
 * A class of the guest's that makes `construct`'s objects: `new` gives what `construct` returns, and since it
 * shares the real class's prototype, `instanceof` holds for all of its objects.
 */
function bound<Instance extends object>(
  resource: { readonly prototype: Instance },
  construct: () => Instance,
  statics: Record<string, unknown> = {},
): unknown {
  const constructor = function Bound(): Instance {
    return construct();
  };
  constructor.prototype = resource.prototype;
  return Object.assign(constructor, statics);
}

export function createImports(at: StateSource): WasiImports {
  return {
    ...io(at),
    ...clocksAndRandom(at),
    ...commandLine(at),
    ...files(at),
    ...http(at),
    ...refused(at),
  };
}

function io(at: StateSource): WasiImports {
  return {
    'wasi:io/error': { Error: IoError },
    'wasi:io/poll': { Pollable, poll: (pollables: readonly Pollable[]) => poll(at.state, pollables) },
    'wasi:io/streams': { InputStream, OutputStream },
  };
}

function clocksAndRandom(at: StateSource): WasiImports {
  return {
    'wasi:clocks/monotonic-clock': {
      now: () => clocks.monotonicNow(at.state),
      resolution: () => clocks.MONOTONIC_RESOLUTION_NS,
      subscribeInstant: (when: bigint) => clocks.subscribeInstant(at.state, when),
      subscribeDuration: (when: bigint) => clocks.subscribeDuration(at.state, when),
    },
    'wasi:clocks/wall-clock': {
      now: () => clocks.wallClockNow(at.state),
      resolution: () => clocks.WALL_CLOCK_RESOLUTION,
    },
    'wasi:clocks/timezone': { display: () => clocks.UTC, utcOffset: () => clocks.UTC.utcOffset },
    'wasi:random/random': {
      getRandomBytes: (length: bigint) => random.randomBytes(at.state, length),
      getRandomU64: () => random.randomU64(at.state),
    },
    'wasi:random/insecure': {
      getInsecureRandomBytes: (length: bigint) => random.randomBytes(at.state, length),
      getInsecureRandomU64: () => random.randomU64(at.state),
    },
    'wasi:random/insecure-seed': { insecureSeed: () => random.insecureSeed(at.state) },
  };
}

function commandLine(at: StateSource): WasiImports {
  const noTerminal = (): undefined => {
    at.state.check();
  };
  return {
    'wasi:cli/environment': {
      getEnvironment: () => cli.getEnvironment(at.state),
      getArguments: () => cli.getArguments(at.state),
      initialCwd: noTerminal,
    },
    'wasi:cli/exit': {
      exit: (status: Parameters<typeof cli.exit>[1]) => cli.exit(at.state, status),
      exitWithCode: (code: number) => cli.exitWithCode(at.state, code),
    },
    'wasi:cli/stdin': { getStdin: () => cli.getStdin(at.state) },
    'wasi:cli/stdout': { getStdout: () => cli.getLogStream(at.state, 'stdout') },
    'wasi:cli/stderr': { getStderr: () => cli.getLogStream(at.state, 'stderr') },
    'wasi:cli/terminal-input': { TerminalInput: cli.TerminalInput },
    'wasi:cli/terminal-output': { TerminalOutput: cli.TerminalOutput },
    'wasi:cli/terminal-stdin': { getTerminalStdin: noTerminal },
    'wasi:cli/terminal-stdout': { getTerminalStdout: noTerminal },
    'wasi:cli/terminal-stderr': { getTerminalStderr: noTerminal },
  };
}

function files(at: StateSource): WasiImports {
  const configStore = {
    get: (key: string) => config.get(at.state, key),
    getAll: () => config.getAll(at.state),
  };
  return {
    'wasi:filesystem/preopens': { getDirectories: () => filesystem.getDirectories(at.state) },
    'wasi:filesystem/types': {
      Descriptor: filesystem.Descriptor,
      DirectoryEntryStream: filesystem.DirectoryEntryStream,
      filesystemErrorCode: (error: IoError) => filesystem.filesystemErrorCode(at.state, error),
    },
    'wasi:config/store': configStore,
    // Its name in earlier drafts.
    'wasi:config/runtime': configStore,
  };
}

function http(at: StateSource): WasiImports {
  return {
    'wasi:http/types': {
      Fields: bound(Fields, () => new Fields(at.state), {
        fromList: (entries: Parameters<typeof Fields.fromList>[1]) => Fields.fromList(at.state, entries),
      }),
      IncomingRequest,
      OutgoingRequest,
      RequestOptions: bound(RequestOptions, () => new RequestOptions(at.state)),
      ResponseOutparam,
      IncomingResponse,
      IncomingBody,
      FutureTrailers,
      OutgoingResponse,
      OutgoingBody,
      FutureIncomingResponse,
      httpErrorCode: (error: IoError) => {
        at.state.check();
        return error.httpErrorCode;
      },
    },
    'wasi:http/outgoing-handler': {
      handle: (request: OutgoingRequest, options: RequestOptions | undefined) =>
        handle(at.state, request, options),
    },
  };
}

/** What links and then has nothing to give. */
function refused(at: StateSource): WasiImports {
  const deny = (): ReturnType<typeof sockets.deny> => sockets.deny(at.state);
  const noStore = (): ReturnType<typeof keyvalue.refuse> => keyvalue.refuse(at.state);
  return {
    'wasi:sockets/instance-network': { instanceNetwork: () => new sockets.Network(at.state) },
    'wasi:sockets/network': {
      Network: sockets.Network,
      networkErrorCode: () => sockets.networkErrorCode(at.state),
    },
    'wasi:sockets/tcp': { TcpSocket: sockets.TcpSocket },
    'wasi:sockets/tcp-create-socket': { createTcpSocket: deny },
    'wasi:sockets/udp': {
      UdpSocket: sockets.UdpSocket,
      IncomingDatagramStream: sockets.IncomingDatagramStream,
      OutgoingDatagramStream: sockets.OutgoingDatagramStream,
    },
    'wasi:sockets/udp-create-socket': { createUdpSocket: deny },
    'wasi:sockets/ip-name-lookup': {
      ResolveAddressStream: sockets.ResolveAddressStream,
      resolveAddresses: deny,
    },
    'wasi:keyvalue/store': {
      Bucket: keyvalue.Bucket,
      open: (identifier: string) => keyvalue.open(at.state, identifier),
    },
    'wasi:keyvalue/atomics': { Cas: keyvalue.Cas, increment: noStore, swap: () => keyvalue.swap(at.state) },
    'wasi:keyvalue/batch': { getMany: noStore, setMany: noStore, deleteMany: noStore },
  };
}
