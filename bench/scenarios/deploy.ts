/** From a changed file to its first answer. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askOk, until } from '../../src/bench/ask.ts';
import { Collector } from '../../src/bench/collector.ts';
import { findProgram, unique, withAnswer } from '../programs.ts';
import { isPlatform } from '../rivals/rival.ts';
import {
  able,
  ALTERNATED,
  alternated,
  attempt,
  describeProgram,
  inFolder,
  withEmpty,
  type Scenario,
} from './scenario.ts';

const answerOf = (i: number): string => `Hello, v${String(i).padStart(4, '0')}!`.slice(0, 13);

export const deploy: Scenario = {
  name: 'deploy',
  title: 'Edit to answer',
  what: 'A changed .wasm is there: how long until a caller gets the new answer. On a platform by its CLI, the start of that included, while the old version serves on; rivals are stopped and started with the new file. Compiling the source is not part of it.',
  async run(context) {
    const { quick } = context;
    const collector = new Collector(deploy);
    const program = context.program?.kind === 'hello' ? context.program : findProgram('hello');
    if (context.program && context.program !== program)
      collector.notes.push('--function has no effect here: the answer must be one that can be changed.');
    const rivals = able(context, program, collector);
    const rounds = quick ? 2 : 5;
    const edits = quick ? 1 : 5;
    const wasm = readFileSync(program.file);
    // Bytes that nobody has seen: what wasmtime compiled in an earlier round or run is in its cache.
    const run = randomUUID();
    const code = (round: number, i: number): Uint8Array => {
      const changed = withAnswer(wasm, answerOf(i));
      if (!changed) throw new Error(`${program.file} has no greeting to change`);
      return unique(changed, `${run}-${round}-${i}`);
    };
    for (const { round, rival } of alternated(rivals, rounds)) {
      const figure = {
        rival: rival.name,
        metric: 'edit to answer',
        unit: 'ms',
        better: 'less',
        each: 'one edit',
      } as const;
      if (rival.refuses({ ...program, kind: 'own' }) !== null) {
        collector.skip(rival.name, figure.metric, 'runs no components: there is no .wasm to change');
        continue;
      }
      await attempt(
        context,
        collector,
        rival,
        `edit to answer, round ${round + 1} of ${rounds}`,
        async () => {
          if (isPlatform(rival)) {
            await withEmpty(rival, async (running) => {
              const url = `${await running.deploy('edited', code(round, 0))}/hello`;
              await askOk(url);
              for (let i = 1; i <= edits; i++) {
                const startedAt = performance.now();
                const [seen] = await Promise.all([
                  until(url, ({ text }) => text.includes(answerOf(i)), 60_000).then(() => performance.now()),
                  running.update('edited', code(round, i)),
                ]);
                collector.add(figure, seen - startedAt);
              }
            });
            return;
          }
          await inFolder(async (folder) => {
            const file = join(folder, 'edited.wasm');
            await writeFile(file, code(round, 0));
            let running = await rival.start({ ...program, file }, { folder });
            try {
              await askOk(`${running.url}/hello`);
              for (let i = 1; i <= edits; i++) {
                const startedAt = performance.now();
                await writeFile(file, code(round, i));
                await running.stop();
                running = await rival.start({ ...program, file }, { folder });
                await until(`${running.url}/hello`, ({ text }) => text.includes(answerOf(i)), 60_000);
                collector.add(figure, performance.now() - startedAt);
              }
            } finally {
              await running.stop();
            }
          });
        },
      );
    }
    return collector.finish({
      program: describeProgram(program),
      rounds,
      order: ALTERNATED,
      warmUp:
        'the first version has answered once; each round deploys bytes of its own, so that no cache has seen them',
    });
  },
};
