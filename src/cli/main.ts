/** The entry of `bin/fissium`: runs the command line of this process. */
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

async function run(args: readonly string[]): Promise<number> {
  const { env } = process;
  // Has Fission's flags, and is started in each pod: without the command line and what it loads.
  if (args[0] === 'fetcher') return (await import('../roles/fetcher.ts')).fetcher(args.slice(1), env);
  const { stdout, stderr, stdin } = process;
  const { runCli } = await import('./run.ts');
  return runCli([...args], { stdout, stderr, stdin, env, cwd: process.cwd(), interrupt });
}

const code = await run(process.argv.slice(2));
// A socket that a failed request left half open must not keep a finished command alive.
process.stdout.write('', () => process.exit(code));
