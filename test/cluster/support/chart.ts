/** The chart, as Helm would install it. */
import { join } from 'node:path';
import { part } from '../parts/part.ts';
import { controlPlaneReady, images, INSTALLED_IN } from './install.ts';
import { outcomeOf, tryKubectl } from './kubectl.ts';

const CHART = join(import.meta.dirname, '../../../charts/fissium');

/** Applies the chart with these values (`a.b=c`) over what is there, and waits for the control plane. */
export async function applyChart(...values: string[]): Promise<void> {
  const settings = [`image=${images.fissium}`, ...values].flatMap((value) => ['--set', value]);
  const rendered = await outcomeOf(join(part('helm'), 'helm'), [
    'template',
    'fissium',
    CHART,
    '-n',
    INSTALLED_IN,
    '--kube-version',
    '1.36.0',
    ...settings,
  ]);
  if (rendered.code !== 0) throw new Error(rendered.stderr);
  const applied = await tryKubectl(
    ['apply', '--server-side', '--force-conflicts', '--field-manager=suite-chart', '-f', '-'],
    rendered.stdout,
  );
  if (applied.code !== 0) throw new Error(applied.stderr);
  await controlPlaneReady();
}
