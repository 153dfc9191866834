/** Node environment for Fission's container contract, versions 1 to 3. See README.md for its settings. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { Socket } from 'node:net';
import { join } from 'node:path';

import { failed, invoke } from './invoke.ts';
import { callScope, logError, markLines } from './logs.ts';
import { BodyRefused, parseLimit, readBody } from './read-body.ts';
import { FunctionRequest } from './request.ts';
import { FunctionResponse } from './response.ts';
import { LoadError, loadFunction, type UserFunction } from './user-code.ts';
import { type AcceptedSockets, acceptSockets } from './web-sockets.ts';

const NOT_GENERIC = 'Not a generic container';
const GENERIC = 'Generic container: no requests supported';
const SPECIALIZE_LIMIT_BYTES = 4 * 1024 * 1024;
const DEFAULT_BODY_LIMIT = '128mb';

/** Fission's FunctionLoadRequest, with two fields of ours. */
interface LoadRequest {
  readonly filepath: string;
  readonly functionName: string;
  /** Environment variables, set before the code is loaded. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether an entry point that is not there stands for none. */
  readonly functionNameOptional: boolean;
}

const codeFolder = process.env['USERFUNCVOL'] ?? '/userfunc';
const stateFile = process.env['FISSIUM_STATE_FILE'] ?? join(codeFolder, 'state.json');
const graceMs = Number(process.env['RUNTIME_GRACE_S'] ?? '60') * 1000;
const bodyLimitBytes = parseLimit(process.env['BODY_PARSER_LIMIT'] ?? DEFAULT_BODY_LIMIT) ?? 128 * 1024 ** 2;

let userFunction: UserFunction | null = null;
let specializing: Promise<void> | null = null;

async function load(request: LoadRequest): Promise<void> {
  Object.assign(process.env, request.env);
  userFunction = await loadFunction(request.filepath, request.functionName, request.functionNameOptional);
}

async function specialize(
  request: FunctionRequest,
  response: FunctionResponse,
  isV2: boolean,
): Promise<void> {
  if (userFunction !== null || specializing !== null) {
    response.status(400).type('text').send(NOT_GENERIC);
    return;
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  specializing = promise;
  try {
    const wanted = readLoadRequest(isV2 ? await readJson(request) : {});
    await load(wanted);
    remember(wanted);
    response.status(202).send();
  } catch (error) {
    logError('The code cannot be loaded', error instanceof LoadError ? error.message : error);
    const status = error instanceof BodyRefused ? error.status : 500;
    response
      .status(status)
      .type('text')
      .send(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  } finally {
    specializing = null;
    resolve();
  }
}

async function readJson(request: FunctionRequest): Promise<unknown> {
  request.headers['content-type'] = 'application/json';
  await readBody(request, SPECIALIZE_LIMIT_BYTES);
  return request.body ?? {};
}

function readLoadRequest(body: unknown): LoadRequest {
  if (typeof body !== 'object' || body === null)
    throw new BodyRefused(400, 'The request to specialise is no JSON object.');
  const { filepath, functionName, env, functionNameOptional } = body as Record<string, unknown>;
  if (![filepath ?? '', functionName ?? ''].every((value) => typeof value === 'string')) {
    throw new BodyRefused(400, 'filepath and functionName must be strings.');
  }
  const variables = Object.entries(env ?? {});
  if (
    !variables.every(
      ([name, value]) => /^[^=\0]+$/.test(name) && typeof value === 'string' && !value.includes('\0'),
    )
  ) {
    throw new BodyRefused(400, 'env must be an object of strings.');
  }
  return {
    filepath: typeof filepath === 'string' && filepath !== '' ? filepath : join(codeFolder, 'user'),
    functionName: typeof functionName === 'string' ? functionName : '',
    env: Object.fromEntries(variables) as Record<string, string>,
    functionNameOptional: functionNameOptional === true,
  };
}

/** For the container that is started again in the same pod, which nobody specialises a second time. */
function remember(request: LoadRequest): void {
  if (stateFile === '') return;
  try {
    writeFileSync(stateFile, JSON.stringify(request), { mode: 0o600 });
  } catch (error) {
    logError('A restarted container will be generic again', error);
  }
}

async function resume(): Promise<void> {
  if (stateFile === '' || !existsSync(stateFile)) return;
  await load(readLoadRequest(JSON.parse(readFileSync(stateFile, 'utf8'))));
}

async function handle(request: FunctionRequest, response: FunctionResponse): Promise<void> {
  const { method, path } = request;
  if (path === '/healthz' && (method === 'GET' || method === 'HEAD')) {
    response.status(200).send();
    return;
  }
  if (method === 'POST' && (path === '/specialize' || path === '/v2/specialize')) {
    return specialize(request, response, path === '/v2/specialize');
  }
  const fn = userFunction;
  if (fn === null) {
    response.status(500).type('text').send(GENERIC);
    return;
  }
  const requestId = request.headers['x-fission-request-id'];
  const scope = { requestId: typeof requestId === 'string' ? requestId : '', response };
  await callScope.run(scope, async () => {
    try {
      await readBody(request, bodyLimitBytes);
    } catch (error) {
      if (!(error instanceof BodyRefused)) throw error;
      response.shouldKeepAlive = false;
      response.status(error.status).type('text').send(error.message);
      return;
    }
    await invoke(fn, request, response);
  });
}

/** What is thrown outside a call's promise (a timer, an emitter) ends that call alone, as in Fission. */
function onStray(error: unknown): void {
  const call = callScope.getStore();
  if (call === undefined || call.response.writableEnded) logError('Uncaught', error);
  else failed(call.response, error);
}

function stop(server: Server, sockets: AcceptedSockets): void {
  sockets.close();
  server.close(() => process.exit(0));
  // A connection whose request ends later is idle only then.
  setInterval(() => server.closeIdleConnections(), 50);
  setTimeout(() => process.exit(0), graceMs).unref();
}

/** Where a descriptor is given, its end is the end of the process that started this one. */
function endWithParent(): void {
  const descriptor = process.env['FISSIUM_LIFELINE_FD'];
  if (descriptor === undefined) return;
  delete process.env['FISSIUM_LIFELINE_FD'];
  const lifeline = new Socket({ fd: Number(descriptor), readable: true, writable: false });
  // With all that the function has started.
  const end = (): void => void process.kill(-process.pid, 'SIGKILL');
  lifeline.on('error', end).on('close', end).resume().unref();
}

async function main(): Promise<void> {
  if (process.env['FISSIUM_LOG_MARKS'] === '1') markLines();
  endWithParent();
  process.on('uncaughtException', onStray);
  process.on('unhandledRejection', onStray);
  await resume();
  const server = createServer(
    {
      IncomingMessage: FunctionRequest,
      ServerResponse: FunctionResponse,
      requestTimeout: 0,
      keepAliveTimeout: 75_000,
    },
    (request, response) => {
      handle(request, response).catch((error: unknown) => failed(response, error));
    },
  );
  const sockets = await acceptSockets(server, () => userFunction);
  process.once('SIGTERM', () => stop(server, sockets));
  process.once('SIGINT', () => stop(server, sockets));
  const socketPath = process.env['RUNTIME_SOCKET'];
  const where = socketPath ?? Number(process.env['RUNTIME_PORT'] ?? '8888');
  if (socketPath !== undefined) rmSync(socketPath, { force: true });
  server.listen(where, () => process.stderr.write(`listening on ${describe(server)}\n`));
}

function describe(server: Server): string {
  const address = server.address();
  return typeof address === 'object' && address !== null ? `port ${address.port}` : String(address);
}

await main();
