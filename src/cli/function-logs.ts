/** `fissium function logs`. */
import type { FissionFunction } from '../api/index.ts';
import { RESOURCES } from './cluster.ts';
import { defineCommand } from './command.ts';
import { nameOption } from './common.ts';
import { readLogs, showLogLine } from './logs.ts';
import { duration, flag, integer, text, withDefault } from './options.ts';

export const logs = defineCommand({
  name: 'log',
  aliases: ['logs'],
  summary: 'Show what a function wrote',
  positional: 'name',
  options: {
    name: nameOption('function'),
    follow: withDefault(flag('follow', 'Go on with new lines until interrupted', { short: 'f' }), false),
    tail: integer('tail', 'Newest lines to show [default: 20; all with --since or --request-id]', {
      aliases: ['recordcount'],
      min: 0,
    }),
    since: duration('since', 'Only lines younger than this, e.g. 5m'),
    requestId: text('request-id', 'Only lines of this request (X-Fission-Request-ID)', {
      aliases: ['reqid'],
      placeholder: 'id',
    }),
    detail: withDefault(flag('detail', 'Show stream and request of each line', { short: 'd' }), false),
    reverse: withDefault(flag('reverse', 'Newest first (without --follow)', { short: 'r' }), false),
    pod: text('pod', 'Pod of the function', { notServed: 'ignored', placeholder: 'name' }),
    allPods: flag('all-pods', 'Logs of all pods', { notServed: 'ignored' }),
    podNamespace: text('pod-namespace', 'Namespace of the pods', {
      notServed: 'ignored',
      placeholder: 'name',
    }),
    dbtype: text('dbtype', 'Where logs are', { notServed: 'ignored', placeholder: 'name' }),
    traceId: text('trace-id', 'Only lines of this trace', { notServed: 'ignored', placeholder: 'id' }),
    level: text('level', 'Only lines of this level', { notServed: 'ignored', placeholder: 'level' }),
    alias: text('alias', 'Alias of the function', { notServed: 'ignored', placeholder: 'name' }),
    version: text('version', 'Version of the function', { notServed: 'ignored', placeholder: 'name' }),
  },
  async handler(values, { connect, io, out }) {
    const cluster = await connect();
    const fn = await cluster.get<FissionFunction>(RESOURCES.functions, values.name);
    const narrowed = values.since !== undefined || values.requestId !== undefined;
    const tail = values.tail ?? (narrowed ? undefined : 20);
    const signal = values.follow ? io.interrupt?.() : undefined;
    const lines = readLogs(cluster, fn, {
      follow: values.follow,
      ...(tail === undefined ? {} : { tail }),
      ...(values.since === undefined ? {} : { sinceMs: Date.now() - values.since }),
      ...(values.requestId === undefined ? {} : { requestId: values.requestId }),
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      if (values.reverse && !values.follow) {
        for (const line of (await Array.fromAsync(lines)).reverse())
          out.line(showLogLine(line, values.detail));
      } else {
        for await (const line of lines) out.line(showLogLine(line, values.detail));
      }
    } catch (error) {
      // Interrupted by the user: the end that was asked for.
      if (signal?.aborted !== true) throw error;
    }
  },
});
