/** A program of its own, to be killed: prepares one package again and again. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { runPrepareJob } from '../job.ts';

const [cacheDir = '', file = ''] = process.argv.slice(2);
const digest = createHash('sha256')
  .update(await readFile(file))
  .digest('hex');
for (let round = 0; ; round++) {
  await runPrepareJob({ source: file, digest, cacheDir });
  if (round === 0) process.stdout.write('running\n');
}
