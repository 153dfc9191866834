/** The `fissium` of this checkout, against the cluster of `KUBECONFIG`. */
import { join } from 'node:path';
import { type Outcome, outcomeOf } from './kubectl.ts';

const BIN = join(import.meta.dirname, '../../../bin/fissium');

/** Whatever comes of it. */
export function tryFissium(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return outcomeOf(BIN, args, { env });
}

/** Its output. @throws Error with its standard error if it fails */
export async function fissium(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tryFissium(args);
  if (code !== 0) throw new Error(`fissium ${args.join(' ')} ended with code ${code}: ${stderr}${stdout}`);
  return stdout;
}
