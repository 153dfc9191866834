/** The entry of `bin/fissium`: runs the command line of this process. */
import { runCli } from './run.ts';

// `fissium fn logs -f | head`: the reader has gone, and that is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

/** The first SIGINT or SIGTERM ends an endless command in order, the second at once. */
function interrupt(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
      controller.abort();
    });
  }
  return controller.signal;
}

const code = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  interrupt,
});
// A socket that a failed request left half open must not keep a finished command alive.
process.stdout.write('', () => process.exit(code));
