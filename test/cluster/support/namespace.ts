import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { describeNamespace, logsOf } from './dump.ts';
import { INSTALLED_IN } from './install.ts';
import { kubectl } from './kubectl.ts';

/** `t-` and something that no other test has. */
export function uniqueName(prefix = 't'): string {
  return `${prefix}-${randomBytes(4).toString('hex')}`;
}

/**
 * A namespace of this test's own: deleted afterwards, and when the test fails, what is in it and what Fissium's pods
 * said is printed first.
 */
export async function newNamespace(): Promise<string> {
  const name = uniqueName();
  await kubectl('create', 'namespace', name);
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') {
      const dump = [await describeNamespace(name), ...(await logsOf(INSTALLED_IN))].join('');
      process.stderr.write(`\n=== ${task.name}\n${dump}`);
    }
    await kubectl('delete', 'namespace', name, '--wait=false', '--ignore-not-found');
  });
  return name;
}
