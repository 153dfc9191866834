/** `fissium up`: the options of the platform's process; the platform itself is src/roles/up.ts. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { REWRITE_STEPS } from '../../runtimes/wasm/prepare/steps.ts';
import { authSecrets } from '../auth/request-signer.ts';
import { defineCommand } from './command.ts';
import { flag, integer, text, texts, withDefault } from './options.ts';

const port = { min: 0, max: 65_535, placeholder: 'port' };

export const up = defineCommand({
  name: 'up',
  summary: 'Start the platform in this process',
  description: [
    'Starts the whole platform in this process: the router, the embedded Kubernetes API, the control loops and',
    'the threads that run functions. Prints one line `fissium ready {…}` on stdout when requests are served.',
    'SIGTERM and SIGINT let requests in flight finish. A port of 0 takes a free one.',
    'Environment: FISSION_INTERNAL_AUTH_SECRET (and _OLD, while it is exchanged) has the internal listener ask for',
    'signatures, for all but health and metrics.',
  ].join('\n'),
  options: {
    data: withDefault(text('data', 'Data directory', { placeholder: 'dir' }), './.fissium'),
    host: withDefault(
      text('host', 'Address that the router listens on', { placeholder: 'address' }),
      '127.0.0.1',
    ),
    port: withDefault(integer('port', 'Port of the router', port), 8888),
    internalHost: withDefault(
      text('internal-host', 'Address of the internal listener', { placeholder: 'address' }),
      '127.0.0.1',
    ),
    internalPort: withDefault(integer('internal-port', 'Port of the internal listener', port), 8889),
    apiHost: withDefault(
      text('api-host', 'Address of the embedded API', { placeholder: 'address' }),
      '127.0.0.1',
    ),
    apiPort: withDefault(integer('api-port', 'Port of the embedded API', port), 6443),
    workers: integer('workers', 'Threads that run functions [default: one for each core]', {
      min: 1,
      max: 1024,
    }),
    engine: withDefault(
      text('engine', 'Engine that runs components; jco is there to compare', {
        choices: ['component', 'jco'],
        placeholder: 'name',
      }),
      'component',
    ),
    snapshot: withDefault(flag('snapshot', '--no-snapshot is --without snapshot', { hidden: true }), true),
    without: withDefault(
      texts('without', 'Leave steps out when packages are prepared, to see what each is worth', {
        choices: REWRITE_STEPS,
        placeholder: 'step,…',
        split: true,
      }),
      [],
    ),
    example: withDefault(flag('example', 'Deploy an example function and its route'), false),
  },
  async handler(values, { io, out }) {
    const { data, workers, engine, snapshot, without, ...rest } = values;
    const { up: start } = await import('../roles/up.ts');
    await start({
      ...rest,
      dataDir: resolve(io.cwd, data),
      engine: engine === 'jco' ? 'jco' : 'component',
      without: REWRITE_STEPS.filter((step) => without.includes(step) || (!snapshot && step === 'snapshot')),
      workers: workers ?? availableParallelism(),
      verbose: out.verbose,
      auth: authSecrets(io.env),
    });
  },
});
