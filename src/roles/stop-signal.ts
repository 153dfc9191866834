/**
 * Resolves at the first SIGTERM or SIGINT. A second one ends the process at once, for whoever does not want to
 * wait for requests in flight.
 */
export function onStopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(signal === 'SIGINT' ? 130 : 143);
      asked = true;
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}
