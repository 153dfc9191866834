import type { FissiumError } from '../../errors.ts';
import type { Package } from '../../api/index.ts';
import { keyOf } from '../../kube/index.ts';
import type { StoredArchive } from '../../packages/index.ts';
import type { GuestFileSet, PreparedManifest } from '../ports.ts';

/** One .wasm of a package, ready for the host. */
export interface PreparedWasm {
  readonly digest: string;
  /** Its name in the archive; '' where the archive is the .wasm. */
  readonly file: string;
  readonly manifest: PreparedManifest;
  /** Where prepare put what the host loads. */
  readonly folder: string;
  /** What the archive holds beside .wasm files, for the function to read; null for nothing. */
  readonly files: GuestFileSet | null;
}

export type PackageState =
  | { readonly phase: 'pending'; readonly earlier?: EarlierPackage }
  | { readonly phase: 'failed'; readonly error: FissiumError; readonly earlier?: EarlierPackage }
  /** Of a container environment: its archive is brought when a function is to run. */
  | StoredPackage
  | ReadyPackage;

export interface StoredPackage {
  readonly phase: 'stored';
  /**
   * The archive, or null where the package has none.
   * @throws FissiumError ARCHIVE_REFUSED, ARCHIVE_NOT_FOUND, ARCHIVE_UNREACHABLE
   */
  readonly fetch: (() => Promise<StoredArchive>) | null;
}

export interface ReadyPackage {
  readonly phase: 'ready';
  readonly archiveDigest: string;
  /**
   * The .wasm for an entry point, prepared.
   * @throws FissiumError ARCHIVE_REFUSED, PACKAGE_REFUSED, PREPARE_TIMEOUT
   */
  readonly select: (entrypoint: string, entrypointOptional: boolean) => Promise<PreparedWasm>;
}

/**
 * What is deployed of a package while another source of it is being built, or could not be. A process that starts in
 * the meantime serves it, as those that were there go on with it.
 */
export type EarlierPackage =
  | { readonly wasm: Pick<ReadyPackage, 'select'> }
  | { readonly stored: { readonly fetch: NonNullable<StoredPackage['fetch']> } };

interface Known {
  readonly uid: string | undefined;
  readonly generation: number | undefined;
  readonly state: PackageState;
}

/** What became of each package, as the function reconciler sees it. */
export class PackageStates {
  readonly #states = new Map<string, Known>();
  readonly #onChange: (key: string) => void;

  constructor(onChange: (key: string) => void) {
    this.#onChange = onChange;
  }

  /** The state for exactly this generation; `pending` where only an earlier one was looked at. */
  of(pkg: Package): PackageState {
    const known = this.#states.get(keyOf(pkg));
    const { uid, generation } = pkg.metadata;
    return known !== undefined && known.uid === uid && known.generation === generation
      ? known.state
      : { phase: 'pending' };
  }

  set(pkg: Package, state: PackageState): void {
    const { uid, generation } = pkg.metadata;
    this.#states.set(keyOf(pkg), { uid, generation, state });
    this.#onChange(keyOf(pkg));
  }

  delete(key: string): void {
    this.#states.delete(key);
    this.#onChange(key);
  }
}
