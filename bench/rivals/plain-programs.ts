/** What the programs do, written in plain JavaScript for rivals that do not run components. */
import type { Program } from '../programs.ts';

/** Null where a plain program stands for this one, else why not. */
export function noPlainProgram(program: Program): string | null {
  if (program.kind === 'own')
    return 'runs no components; it can only stand beside the programs that the suite brings';
  return null;
}
