/** Builds as local processes, where there is no Kubernetes: each in a folder of its own, with a time limit. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Logger } from 'pino';

import { wrap } from '../../executors/process/launch.ts';
import { type ArchiveStore, archiveUrl, extractArchive, packArtifact } from '../../packages/index.ts';
import { BuildError, type Builder, type BuildRequest, type BuildResult } from '../builder.ts';
import { toolchainOf } from '../images.ts';
import { runBuildCommand } from '../run-command.ts';
import { RunningBuilds } from '../running-builds.ts';
import { buildEnvironment } from './environment.ts';
import { createReadStream } from 'node:fs';
import { FissiumError } from '../../errors.ts';

export interface LocalBuilderOptions {
  /** Where builds run; emptied at the start. */
  readonly folder: string;
  /** Kept between builds: what package managers have downloaded. */
  readonly cacheFolder: string;
  readonly archives: ArchiveStore;
  readonly logger: Logger;
  /** @default 15 minutes */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 15 * 60_000;

export class LocalBuilder implements Builder {
  readonly #options: LocalBuilderOptions;
  readonly #logger: Logger;
  readonly #running = new RunningBuilds();
  #emptied: Promise<void> | null = null;

  constructor(options: LocalBuilderOptions) {
    this.#options = options;
    this.#logger = options.logger.child({ component: 'local-builder' });
  }

  build(request: BuildRequest): Promise<BuildResult> {
    return this.#running.run(request.signal, (signal) => this.#build(request, signal));
  }

  /** Ends every build. */
  close(): Promise<void> {
    return this.#running.close();
  }

  async #build(request: BuildRequest, signal: AbortSignal): Promise<BuildResult> {
    const { archives, cacheFolder, timeoutMs = TIMEOUT_MS } = this.#options;
    const { image } = request.environment.builder;
    const toolchain = toolchainOf(image);
    if (toolchain === null) throw noToolchain(image);
    const source = await request.source();
    const home = await this.#makeFolder();
    const startMs = performance.now();
    try {
      const sourcePath = join(home, 'source');
      await extractArchive(source.path, sourcePath);
      const deployPath = join(home, 'deploy');
      const log = await runBuildCommand({
        command: request.command,
        sourcePath,
        deployPath,
        timeoutMs,
        wrap,
        signal,
        env: buildEnvironment({
          home,
          cacheFolder,
          toolchain,
          variables: request.environment.builder.env,
        }),
      });
      const { keepArchive, wasm } = request.environment;
      const digest = await pack(archives, home, deployPath, keepArchive || wasm, log);
      this.#logger.info(
        { package: `${request.namespace}/${request.name}`, ms: Math.round(performance.now() - startMs) },
        'a package was built',
      );
      return { url: archiveUrl(digest), digest, log };
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  }

  async #makeFolder(): Promise<string> {
    const { folder, cacheFolder } = this.#options;
    this.#emptied ??= rm(folder, { recursive: true, force: true });
    await this.#emptied;
    const home = join(folder, randomUUID().slice(0, 8));
    await mkdir(join(home, 'tmp'), { recursive: true, mode: 0o700 });
    await mkdir(cacheFolder, { recursive: true, mode: 0o700 });
    return home;
  }
}

async function pack(
  archives: ArchiveStore,
  home: string,
  deployPath: string,
  keepFile: boolean,
  log: string,
): Promise<string> {
  try {
    const packed = join(home, 'deploy.archive');
    await packArtifact(deployPath, packed, { keepFile });
    const { digest } = await archives.put(createReadStream(packed), { what: 'What was built' });
    return digest;
  } catch (error) {
    if (!(error instanceof FissiumError) || error.fault === 'platform') throw error;
    throw new BuildError('BUILD_FAILED', error.message, `${log}${error.message}\n`, { cause: error });
  }
}

function noToolchain(image: string): BuildError {
  const message = `No local toolchain stands for the builder image ${JSON.stringify(image)}. In standalone, sources are built by images named like python-builder and node-builder, or "wasm" for what becomes WebAssembly. Any other image needs Kubernetes; or build the code yourself and give it with --deployarchive.`;
  return new BuildError('BUILD_FAILED', message, `${message}\n`);
}
