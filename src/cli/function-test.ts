/** `fissium function test`: calls a function without a route. */
import type { FissionFunction } from '../api/index.ts';
import { RESOURCES, type Cluster } from './cluster.ts';
import { defineCommand, usageError, type CliIo } from './command.ts';
import { nameOption } from './common.ts';
import { CliError } from './errors.ts';
import { readLogs, showLogLine } from './logs.ts';
import { duration, flag, text, texts, withDefault } from './options.ts';
import type { Output } from './output.ts';
import { serviceMessage } from './storage.ts';

export const test = defineCommand({
  name: 'test',
  summary: 'Call a function and print its answer',
  description: [
    'Calls the function on the platform’s internal listener and prints the body of its answer.',
    'If the answer is no success, its status and error and the logs of that call go to stderr, and the exit code is 1.',
  ].join('\n'),
  positional: 'name',
  options: {
    name: nameOption('function'),
    method: texts('method', 'HTTP method [default: GET, or POST with a body]', {
      split: true,
      placeholder: 'method',
    }),
    header: texts('header', 'Header', { short: 'H', placeholder: 'name: value' }),
    body: text('body', 'Body; `-` reads stdin', { short: 'b', placeholder: 'text' }),
    query: texts('query', 'Query parameter', { short: 'q', placeholder: 'key=value' }),
    timeout: withDefault(
      duration('timeout', 'How long to wait for the answer; 0 for ever', { short: 't' }),
      60_000,
    ),
    subpath: text('subpath', 'Path below the function’s', { placeholder: 'path' }),
    async: flag('async', 'Call asynchronously', { notServed: 'ignored' }),
    alias: text('alias', 'Alias of the function', { notServed: 'ignored', placeholder: 'name' }),
    version: text('version', 'Version of the function', { notServed: 'ignored', placeholder: 'name' }),
    dbtype: text('dbtype', 'Where logs are', { notServed: 'ignored', placeholder: 'name' }),
  },
  async handler(values, { connect, io, out }) {
    const cluster = await connect();
    const fn = await cluster.get<FissionFunction>(RESOURCES.functions, values.name);
    const methods = values.method ?? [];
    if (methods.length > 1) throw usageError(`--method is given ${methods.length} times: a call has one`);
    const body = await requestBody(values.body, io);
    const progress = out.progress(`calling function '${values.name}'`);
    const signal = values.timeout > 0 ? AbortSignal.timeout(values.timeout) : undefined;
    try {
      const answer = await cluster.service('router-internal', functionPath(cluster.namespace, values), {
        method: methods[0]?.toUpperCase() ?? (body === undefined ? 'GET' : 'POST'),
        headers: headersOf(values.header ?? []),
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
      });
      progress.end();
      if (answer.status < 400) {
        for await (const chunk of answer.body as AsyncIterable<Uint8Array>) out.raw(chunk);
        return 0;
      }
      const text = await answer.text();
      if (answer.status === 401 && text.includes('"NOT_SIGNED"')) {
        throw new CliError(`function '${values.name}' was not called`, {
          why: serviceMessage(answer.status, text),
          fix: "set FISSION_INTERNAL_AUTH_SECRET to the installation's secret",
        });
      }
      const requestId = answer.headers['x-fission-request-id'];
      out.note(`error: function '${values.name}' answered ${serviceMessage(answer.status, text)}`);
      await showLogs(cluster, out, fn, typeof requestId === 'string' ? requestId : undefined);
      return 1;
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      throw new CliError(`function '${values.name}' did not answer within ${values.timeout / 1000} s`, {
        fix: `look at its logs: fissium function logs --name ${values.name}; wait longer with --timeout`,
        cause: error,
      });
    } finally {
      progress.end();
    }
  },
});

/** `/fission-function/<ns>/<name>/<subpath>?query`; Fission leaves the namespace out where it is `default`. */
function functionPath(
  namespace: string,
  values: {
    readonly name: string;
    readonly subpath: string | undefined;
    readonly query: readonly string[] | undefined;
  },
): string {
  const [subpath = '', inlineQuery] = (values.subpath ?? '').split(/\?(.*)/s);
  const path = [...(namespace === 'default' ? [] : [namespace]), values.name]
    .map(encodeURIComponent)
    .join('/');
  const query = new URLSearchParams(inlineQuery);
  for (const pair of values.query ?? []) {
    const at = pair.indexOf('=');
    query.append(at < 0 ? pair : pair.slice(0, at), at < 0 ? '' : pair.slice(at + 1));
  }
  const below = subpath === '' ? '' : `/${subpath.replace(/^\/+/, '')}`;
  return `/fission-function/${path}${below}${query.size === 0 ? '' : `?${query.toString()}`}`;
}

/** `name: value` or `name=value` each; of the same name, joined as lists are. Names in lower case. */
export function headersOf(list: readonly string[]): Record<string, string> {
  const result: Record<string, string> = {};
  for (const header of list) {
    const [, name, value] = /^([^:=\s]+)\s*[:=]\s*([\s\S]*)$/.exec(header) ?? [];
    if (name === undefined || value === undefined) {
      throw usageError(`--header is ${JSON.stringify(header)}: it must be "name: value"`);
    }
    const key = name.toLowerCase();
    result[key] = result[key] === undefined ? value : `${result[key]}, ${value}`;
  }
  return result;
}

async function requestBody(body: string | undefined, io: CliIo): Promise<Uint8Array | string | undefined> {
  if (body !== '-') return body;
  const chunks: Buffer[] = [];
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

/** What the function wrote during the call; that it cannot be read is no second failure. */
async function showLogs(
  cluster: Cluster,
  out: Output,
  fn: FissionFunction,
  requestId: string | undefined,
): Promise<void> {
  if (requestId === undefined) return;
  const lines = await Array.fromAsync(readLogs(cluster, fn, { requestId, tail: 100 })).catch(() => []);
  if (lines.length === 0) return;
  out.note(`logs of request ${requestId}:`);
  for (const line of lines) out.note(showLogLine(line, false));
}
