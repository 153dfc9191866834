/**
 * Holds `crds/` and the cases of `src/api/testing/rule-cases.ts` against Kubernetes' own code (`validate/`): see
 * README.md. Exits 1 where it says something else than our validation.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { RULE_CASES } from '../../src/api/testing/rule-cases.ts';
import { environment } from '../../src/api/testing/examples.ts';

interface Verdict {
  readonly errors: readonly string[];
  readonly unknown: readonly string[];
}

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'fissium', 'crds');
mkdirSync(cache, { recursive: true });
const binary = join(cache, 'validate');
execFileSync('nice', ['-n', '19', 'go', 'build', '-o', binary, '.'], {
  cwd: join(import.meta.dirname, 'validate'),
  stdio: 'inherit',
});

const old = environment({ version: 2 });
const inputs: { object: object; old?: object; refused: string }[] = [
  ...RULE_CASES,
  { object: environment({ version: 3 }), old, refused: 'both' },
  { object: environment({ version: 2, poolsize: 1 }), old, refused: 'no' },
];
const text = execFileSync(binary, [join(import.meta.dirname, '..', '..', 'crds')], {
  input: inputs.map(({ object, old: before }) => `${JSON.stringify({ object, old: before })}\n`).join(''),
  encoding: 'utf8',
  maxBuffer: 1 << 26,
});
const [, ...verdicts] = text
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Verdict);

let wrong = 0;
inputs.forEach(({ object, refused }, index) => {
  const { errors = [], unknown = [] } = verdicts[index] ?? {};
  const isRefused = errors.length > 0 || unknown.length > 0;
  if (process.argv.includes('--show')) process.stdout.write(`${[...errors, ...unknown].join('; ')}\n`);
  if (verdicts[index] !== undefined && isRefused === (refused === 'both')) return;
  wrong++;
  const said = isRefused ? [...errors, ...unknown].join('; ') : 'accepted';
  process.stdout.write(`${JSON.stringify(object).slice(0, 400)}\n  to be refused by: ${refused}; ${said}\n`);
});
process.stdout.write(`${inputs.length - wrong} of ${inputs.length} objects judged alike\n`);
process.exitCode = wrong === 0 ? 0 : 1;
