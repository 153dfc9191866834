/** The environment of a local build: nothing of the platform's own, but what toolchains need to find their registries. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import type { ToolchainName } from '../images.ts';
import { toolchainEnv } from '../toolchain.ts';

/** Where packages come from, and through what. */
const PASSED_ON =
  /^(?:https?_proxy|no_proxy|all_proxy|TZ|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS|PIP_[A-Z_]+|npm_config_(?:registry|cafile|userconfig)|GOPROXY|GONOSUMDB|GONOSUMCHECK|GOSUMDB|GOPRIVATE|GOFLAGS|CARGO_[A-Z_]+|RUSTUP_[A-Z_]+|PYENV_[A-Z_]+)$/i;

export interface BuildEnvironmentOptions {
  /** The build's own: its home and its temporary folder. */
  readonly home: string;
  /** Kept between builds: what package managers have downloaded. */
  readonly cacheFolder: string;
  readonly toolchain: ToolchainName;
  /** Variables of the environment's builder. */
  readonly variables: readonly (readonly [name: string, value: string])[];
}

export function buildEnvironment(options: BuildEnvironmentOptions): Record<string, string> {
  const { home, cacheFolder, toolchain, variables } = options;
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && PASSED_ON.test(name)) inherited[name] = value;
  }
  return {
    // Toolchains keep where they are themselves below the user's home.
    ...existing('npm_config_userconfig', '.npmrc'),
    ...existing('PIP_CONFIG_FILE', '.config/pip/pip.conf', '.pip/pip.conf', '.config/pip.conf'),
    ...existing('RUSTUP_HOME', '.rustup'),
    ...existing('CARGO_HOME', '.cargo'),
    ...inherited,
    ...toolchainEnv(toolchain, process.env['PATH']),
    HOME: home,
    TMPDIR: join(home, 'tmp'),
    LANG: 'C.UTF-8',
    CI: 'true',
    PIP_CACHE_DIR: join(cacheFolder, 'pip'),
    npm_config_cache: join(cacheFolder, 'npm'),
    GOPATH: join(cacheFolder, 'go'),
    GOCACHE: join(cacheFolder, 'go-build'),
    ZIG_GLOBAL_CACHE_DIR: join(cacheFolder, 'zig'),
    ...Object.fromEntries(variables),
  };
}

function existing(variable: string, ...names: string[]): Record<string, string> {
  const path = names.map((name) => join(homedir(), name)).find((candidate) => existsSync(candidate));
  return path === undefined ? {} : { [variable]: path };
}
