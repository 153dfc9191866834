import { guest } from './guests.ts';
import type { Platform } from './platform.ts';

/** Deploys a guest of `test/guests/built` under `/<name>`. @throws Error with what the CLI said */
export async function deployGuest(
  platform: Platform,
  name: string,
  options: { readonly file?: string; readonly args?: readonly string[] } = {},
): Promise<void> {
  const { file = guest(name), args = [] } = options;
  const methods = ['GET', 'POST', 'PUT'].flatMap((method) => ['--method', method]);
  for (const command of [
    ['function', 'create', '--name', name, '--code', file, '--env', 'wasm', ...args],
    ['route', 'create', '--name', name, '--function', name, '--prefix', `/${name}`, ...methods],
  ]) {
    const { code, stderr } = await platform.cli(command);
    if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  }
}
