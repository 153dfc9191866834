/** `fissium bench`: cold starts, throughput and latency of a function on a platform that runs. */
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { FissionFunction } from '../api/index.ts';
import { benchFunction } from '../bench/function-bench.ts';
import { SUBJECT } from '../bench/function-bench.ts';
import type { Target } from '../bench/load/index.ts';
import { describeMachine, machineWarnings } from '../bench/machine.ts';
import type { RunResult, ScenarioResult } from '../bench/model.ts';
import { htmlReport } from '../bench/report/html.ts';
import { textReport } from '../bench/report/text.ts';
import { BenchCopies } from './bench-copies.ts';
import { benchTarget } from './bench-target.ts';
import { clientVersion } from './client-version.ts';
import { RESOURCES } from './cluster.ts';
import { defineCommand, usageError } from './command.ts';
import { nameOption } from './common.ts';
import { CliError, messageOf } from './errors.ts';
import { headersOf } from './function-test.ts';
import { duration, integer, integers, text, texts, withDefault } from './options.ts';
import { serverInfo } from './version.ts';

export const bench = defineCommand({
  name: 'bench',
  summary: 'Measure cold starts, throughput and latency of a function',
  description: [
    'Asks the function over HTTP from a process of its own, first request by request, then with many at once.',
    'For cold starts it makes copies of the function (same package, other names), calls each for the first time and',
    'deletes them; --cold 0 leaves that out. Where the platform’s answers carry a receipt, the time is split by it.',
    'It puts real load on the platform, and its own load generator takes a part of the machine that it runs on.',
  ].join('\n'),
  positional: 'name',
  options: {
    name: nameOption('function'),
    duration: withDefault(duration('duration', 'Length of each loop'), 5000),
    warmUp: withDefault(duration('warm-up', 'What is asked before each loop and not counted'), 2000),
    connections: withDefault(
      integers('connections', 'Connections of the closed loops', {
        short: 'c',
        min: 1,
        max: 10_000,
        split: true,
        placeholder: 'n,…',
      }),
      [1, 16, 50],
    ),
    rate: integers(
      'rate',
      'Requests per second of the open loops [default: half of what the closed loops reach]',
      {
        min: 1,
        max: 1_000_000,
        split: true,
        placeholder: 'n,…',
      },
    ),
    cold: withDefault(
      integer('cold', 'Copies of the function that are called for the first time', { min: 0, max: 1000 }),
      5,
    ),
    body: text('body', 'File that is sent as the body of each request', { placeholder: 'file' }),
    method: text('method', 'HTTP method [default: GET, or POST with a body]', { placeholder: 'method' }),
    header: texts('header', 'Header', { short: 'H', placeholder: 'name: value' }),
    subpath: text('subpath', 'Path below the function’s', { placeholder: 'path' }),
    url: text('url', 'Ask here instead of at the function’s own address', { placeholder: 'url' }),
    json: text('json', 'Write everything here, raw values included', { placeholder: 'file' }),
    html: text('html', 'Write a page with charts here', { placeholder: 'file' }),
  },
  async handler(values, { connect, io, out }) {
    const startedAt = new Date().toISOString();
    const startMs = performance.now();
    const bodyFile = values.body === undefined ? undefined : resolve(io.cwd, values.body);
    const body = bodyFile === undefined ? null : await readBody(bodyFile);
    const cluster = await connect();
    const fn = await cluster.get<FissionFunction>(RESOURCES.functions, values.name);
    const { url, how, internal } = await benchTarget(cluster, io.env, values);
    const target: Target = {
      url,
      method: (values.method ?? (body === null ? 'GET' : 'POST')).toUpperCase(),
      bodyBytes: 0,
      headers: headersOf(values.header ?? []),
      ...(bodyFile === undefined ? {} : { bodyFile }),
    };
    out.note(`${target.method} ${url} (${how})`);
    const version = await serverInfo(cluster)
      .then(({ Fissium }) => Fissium?.Version ?? 'unknown')
      .catch(() => 'unknown');
    const machine = await describeMachine({ fissium: version, commit: '' });
    const warnings = machineWarnings(machine);
    for (const warning of warnings) out.warn(warning);

    const signal = io.interrupt?.();
    const copies = internal === null ? null : new BenchCopies(cluster, out, fn, internal, values.subpath);
    const scenarios: ScenarioResult[] = [];
    try {
      scenarios.push(
        ...(await benchFunction({
          target,
          body,
          program: `function ${values.name} in namespace ${cluster.namespace}`,
          copy: copies === null ? null : (i) => copies.make(i),
          copies: values.cold,
          connections: values.connections,
          rates: values.rate ?? [],
          warmUpMs: values.warmUp,
          durationMs: values.duration,
          say: (line) => out.note(`  ${line}`),
          ...(signal === undefined ? {} : { signal }),
        })),
      );
    } catch (error) {
      if (signal?.aborted === true) throw new CliError('interrupted: nothing was written', { cause: error });
      throw new CliError(`function '${values.name}' cannot be measured`, {
        why: messageOf(error),
        fix: `look at what it answers: fissium function test --name ${values.name}; another path with --subpath, another method with --method`,
        cause: error,
      });
    } finally {
      await copies?.remove();
    }
    const result: RunResult = {
      format: 1,
      subject: {
        title: `${values.name} (namespace ${cluster.namespace})`,
        facts: [
          `${target.method} ${url} (${how})`,
          ...(body === null ? [] : [`a body of ${body.length} bytes`]),
          `platform ${cluster.connection.server}, version ${version}; this CLI is ${clientVersion()}`,
        ],
      },
      command: `fissium bench ${values.name}`,
      startedAt,
      durationS: (performance.now() - startMs) / 1000,
      quick: false,
      machine,
      warnings,
      rivals: [{ name: SUBJECT, title: values.name, available: true, version, how: url, isolation: '' }],
      scenarios,
    };
    if (values.json !== undefined) await write(resolve(io.cwd, values.json), `${JSON.stringify(result)}\n`);
    if (values.html !== undefined) await write(resolve(io.cwd, values.html), htmlReport(result));
    out.raw(textReport(result));
  },
});

async function readBody(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw usageError(`--body ${file} cannot be read: ${messageOf(error)}`);
  }
}

async function write(file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content);
  } catch (error) {
    throw new CliError(`${file} cannot be written`, { why: messageOf(error), cause: error });
  }
}
