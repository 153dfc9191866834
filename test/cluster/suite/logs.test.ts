/** `fissium function logs` on the cluster, where lines are in the logs of pods. */
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { fissium } from '../support/cli.ts';
import { wasmEnvironment } from '../support/functions.ts';
import { installFissium } from '../support/install.ts';
import { apply } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';
import { eventually } from '../support/wait.ts';

beforeAll(installFissium);

/** Writes `greeting NAME` to its standard error. */
const CODE = join(import.meta.dirname, '../../../wasm-envs/rust/example/hello.wasm');

test("a Wasm function's lines are its own alone, by request too", async () => {
  const namespace = await newNamespace();
  await apply([wasmEnvironment(namespace)]);
  for (const name of ['one', 'two'])
    await fissium('function', 'create', '--name', name, '-n', namespace, '--env', 'wasm', '--code', CODE);
  for (const name of ['one', 'two', 'one']) await fissium('function', 'test', name, '-n', namespace);
  const logs = (name: string, ...more: string[]): Promise<string> =>
    fissium('function', 'logs', name, '-n', namespace, '--detail', ...more);
  const detailed = await eventually('the lines of both calls', async () => {
    const text = await logs('one');
    return text.trim().split('\n').length >= 2 && text;
  });
  expect(detailed.match(/ greeting /g)).toHaveLength(2);
  const [, id = ''] = / stderr (\S+) greeting /.exec(detailed) ?? [];
  expect((await logs('one', '--request-id', id)).match(/ greeting /g)).toHaveLength(1);
  expect(await logs('two', '--request-id', id)).toBe('');
});
