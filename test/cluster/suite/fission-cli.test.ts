/**
 * Fission's own CLI against an installation: what test/integration/fission-cli.test.ts does in one process, with
 * transcripts of its own, since pods are real here. The CLI finds the platform's services by itself, through port
 * forwarding. test/fission-cli/build.sh builds the program; .ci/run does so first.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCENARIOS, type Step } from '../../fission-cli/scenarios.ts';
import { findFissionCli, type Session, transcript, writeBigArchive } from '../../fission-cli/session.ts';
import { routerUrl, wasmEnvironment } from '../support/functions.ts';
import { images, installFissium } from '../support/install.ts';
import { apply } from '../support/kubectl.ts';
import { newNamespace } from '../support/namespace.ts';

const GOLDEN = join(import.meta.dirname, '../../fission-cli/golden-cluster');
/** What the scenario of Fission's article has its functions run in. */
const ARTICLE_IMAGE = 'fission/python-env:3.9';
const fissionCli = await findFissionCli();

describe.skipIf(fissionCli === '')('Fission’s CLI', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fissium-fission-cli-'));
    await writeBigArchive(join(folder, 'big.zip'), 1);
    await writeBigArchive(join(folder, 'other.zip'), 2);
    await installFissium();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** In a namespace of the test's own, which its transcript calls `default`; and another that it calls `team`. */
  async function newSession(): Promise<{ session: Session; own: string; team: string }> {
    const [own, team] = [await newNamespace(), await newNamespace()];
    await apply(wasmEnvironment(own, { poolsize: 1 }));
    const session: Session = {
      program: fissionCli,
      env: { ...process.env, HOME: folder, NO_COLOR: '1', FISSION_DEFAULT_NAMESPACE: own },
      folder,
      router: await routerUrl(),
      renamed: { team, [ARTICLE_IMAGE]: images.python },
    };
    return { session, own, team };
  }

  test.each(Object.keys(SCENARIOS))('%s', { timeout: 240_000 }, async (name) => {
    const { session, own, team } = await newSession();
    const cwd = await mkdtemp(join(folder, `${name}-`));
    const steps: readonly Step[] = SCENARIOS[name] ?? [];
    const said = inSteadyWords(await transcript(session, steps, cwd), own, team);
    await expect(said).toMatchFileSnapshot(join(GOLDEN, `${name}.txt`));
  });
});

/** What `-A` prints, command included. */
const OF_ALL_NAMESPACES = /(^\$ fission .* -A\n)((?:(?!\$ ).*\n)*)/gm;
/** A pool grows and shrinks while it is looked at. */
const POOL_POD =
  /^(wasm-\w+|poolmgr-[a-z-]+)-[0-9a-f-]+-[0-9a-z]{5} (\w+) \d\/\d \w+(?: \d+\.\d+\.\d+\.\d+)?/gm;

function inSteadyWords(text: string, own: string, team: string): string {
  const ofTest = (row: string): boolean => row.startsWith('NAME ') || row.includes(own) || row.includes(team);
  const named = (words: string): string => words.replaceAll(own, 'default').replaceAll(team, 'team');
  return named(
    text.replaceAll(OF_ALL_NAMESPACES, (_all, command: string, rows: string) => {
      const kept = rows.split('\n').filter(ofTest).map(named);
      // In the order of the namespaces' names, which differ from run to run.
      return `${command}${kept.toSorted().join('\n')}\n`;
    }),
  )
    .replaceAll(images.python, ARTICLE_IMAGE)
    .replaceAll(POOL_POD, '$1-POD $2 STATE')
    .replaceAll(/(^.*-POD .*\n)\1+/gm, '$1');
}
