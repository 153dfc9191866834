/** What turns a package's source into what runs: a local process, or a builder pod of the environment. */
import type { Environment, ResolvedEnvironment } from '../api/index.ts';
import { FissiumError, type ErrorCode } from '../errors.ts';
import type { StoredArchive } from '../packages/index.ts';

export interface BuildRequest {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly environment: ResolvedEnvironment & { readonly builder: BuilderSpec };
  /** The package's own command, else the environment's; '' for the builder's default. */
  readonly command: string;
  /** Brings the source archive; builders that run elsewhere fetch it themselves. */
  readonly source: () => Promise<StoredArchive>;
  readonly signal: AbortSignal;
}

export type BuilderSpec = NonNullable<ResolvedEnvironment['builder']>;

export interface BuildResult {
  /** Where the deployment archive is. */
  readonly url: string;
  /** Its sha256, hex. */
  readonly digest: string;
  /** What the build said. */
  readonly log: string;
}

/** A build that came to no result; with what it had said until then. */
export class BuildError extends FissiumError {
  readonly log: string;

  constructor(code: ErrorCode, message: string, log: string, options: { cause?: unknown } = {}) {
    super(code, message, options);
    this.log = log;
  }
}

export interface Builder {
  /**
   * @throws BuildError BUILD_FAILED (only another source, command or environment can mend it)
   * @throws FissiumError whatever may pass: BUILDER_UNREACHABLE, ARCHIVE_UNREACHABLE, STORAGE_FULL …
   */
  build(request: BuildRequest): Promise<BuildResult>;
  /** Makes ready, or takes away, what builds sources of the environment. Rejects where that fails for the time being. */
  reconcileEnvironment?(environment: Environment): Promise<void>;
  close(): Promise<void>;
}
