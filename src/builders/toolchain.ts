/** The programs that the platform brings along for builds: `build` for each toolchain. */
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

import type { ToolchainName } from './images.ts';

const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin';

/** What those programs need in their environment. @param path that of the process */
export function toolchainEnv(toolchain: ToolchainName, path = USUAL_PATH): Record<string, string> {
  const root = packageRoot();
  return {
    PATH: [join(root, 'builders', toolchain), path].join(delimiter),
    FISSIUM_ROOT: root,
    FISSIUM_NODE: process.execPath,
  };
}

/** Where `builders/` lies: the checkout, or the published package. */
function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'builders', 'python', 'build')) && folder !== dirname(folder))
    folder = dirname(folder);
  return folder;
}
