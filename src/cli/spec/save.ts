/** `create --spec` and `create --dry`: the resource as YAML instead of a call. */
import { appendFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandContext } from '../command.ts';
import { CliError } from '../errors.ts';
import { toYaml } from '../output.ts';
import { CONFIG_FILE, SPEC_DIR } from './names.ts';

/**
 * Prints (`dry`) or writes (`spec`) the objects, as they would be created; false if neither is wanted and the
 * command goes on. A file that exists gets another document at its end.
 */
export async function saveSpec(
  { io, out }: CommandContext,
  { spec, dry }: { readonly spec: boolean; readonly dry: boolean },
  objects: readonly object[],
  file: string,
): Promise<boolean> {
  if (!spec && !dry) return false;
  const documents = await Promise.all(objects.map(toYaml));
  const text = documents.join('---\n');
  if (dry) {
    out.raw(text);
    return true;
  }
  const folder = join(io.cwd, SPEC_DIR);
  if (!(await exists(join(folder, CONFIG_FILE)))) {
    throw new CliError(`there is no specs folder at ${folder}`, { fix: 'make one: fissium spec init' });
  }
  const target = join(folder, file);
  await appendFile(target, (await exists(target)) ? `---\n${text}` : text, { mode: 0o600 });
  out.line(`saved to ${join(SPEC_DIR, file)}`);
  return true;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
