/** When a build is tried again whose failure may pass. */
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';

import { resolveEnvironment } from '../../api/index.ts';
import { type Builder, BuildError, type BuildRequest, type BuildResult } from '../../builders/index.ts';
import { FissiumError } from '../../errors.ts';
import { eventually } from '../../kube/testing/eventually.ts';
import { environment } from '../testing/platform.ts';
import { PackageBuilds } from './builds.ts';

const RESULT: BuildResult = { url: 'http://storage/a', digest: 'a'.repeat(64), log: '' };

/** Comes to what a test says, build by build. */
class ToldBuilder implements Builder {
  count = 0;
  readonly #outcomes: (Error | BuildResult)[];

  constructor(...outcomes: (Error | BuildResult)[]) {
    this.#outcomes = outcomes;
  }

  build(): Promise<BuildResult> {
    this.count += 1;
    const outcome = this.#outcomes.shift() ?? RESULT;
    return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

let builds: PackageBuilds;
afterEach(() => builds.close());

function start(builder: Builder, retryBaseMs: number): string[] {
  const phases: string[] = [];
  builds = new PackageBuilds({
    builder,
    logger: pino({ level: 'silent' }),
    retryBaseMs,
    onChange: () => phases.push(builds.of('default/a', 'key', requestOf()).phase),
  });
  return phases;
}

function requestOf(generation = 1): Omit<BuildRequest, 'signal'> {
  const object = environment('python', 'python');
  object.metadata = { ...object.metadata, generation };
  const builder = { image: 'b', command: 'build', env: [] };
  return {
    namespace: 'default',
    name: 'a',
    uid: 'u',
    environment: { ...resolveEnvironment(object), builder },
    command: 'build',
    source: () => Promise.reject(new Error('not asked for')),
  };
}

const unreachable = (): FissiumError => new FissiumError('BUILDER_UNREACHABLE', 'it does not start');

it('is tried again by itself until it comes to a result', async () => {
  const builder = new ToldBuilder(unreachable(), unreachable());
  const phases = start(builder, 1);
  expect(builds.of('default/a', 'key', requestOf())).toEqual({ phase: 'queued' });
  await eventually('it is built', () => phases.includes('succeeded'));
  expect(phases.filter((phase) => phase === 'failed')).toHaveLength(2);
  expect(builder.count).toBe(3);
});

it('stays as it is in between, however often it is looked at', async () => {
  const builder = new ToldBuilder(unreachable());
  const phases = start(builder, 3_600_000);
  builds.of('default/a', 'key', requestOf());
  await eventually('it has failed', () => phases.includes('failed'));
  for (let i = 0; i < 3; i += 1)
    expect(builds.of('default/a', 'key', requestOf())).toMatchObject({ phase: 'failed' });
  expect(builder.count).toBe(1);
});

it('is tried at once when its environment has changed', async () => {
  const builder = new ToldBuilder(unreachable());
  const phases = start(builder, 3_600_000);
  builds.of('default/a', 'key', requestOf());
  await eventually('it has failed', () => phases.includes('failed'));
  builds.of('default/a', 'key', requestOf(2));
  await eventually('it is built', () => phases.includes('succeeded') || builder.count === 2);
  expect(builder.count).toBe(2);
});

it('is not tried again where only another source can mend it', async () => {
  const builder = new ToldBuilder(new BuildError('BUILD_FAILED', 'no', 'no\n'));
  const phases = start(builder, 1);
  builds.of('default/a', 'key', requestOf());
  await eventually('it has failed', () => phases.includes('failed'));
  await new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
  expect(builder.count).toBe(1);
});
