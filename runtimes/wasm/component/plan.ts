/**
 * The linking plan of a component: what to instantiate in which order, and which host function stands behind
 * which core import. Made once at prepare time and stored as JSON; nothing in it refers to the binary's index
 * spaces any more.
 */
import { LinkDeclined } from './declined.ts';
import type { WantedMemory } from '../rewrite/index.ts';
import type { FuncType, ResourceId } from './types.ts';

/** A core function, memory, table or global, as a thing that exists once earlier steps have run. */
export type CoreSource =
  /** An export of the core instance that step `instance` makes. */
  | { readonly from: 'export'; readonly instance: number; readonly name: string }
  /** A function that the host makes: `plan.trampolines[index]`. */
  | { readonly from: 'trampoline'; readonly index: number };

/** Canonical options of a lift or lower (Component Model, CanonicalABI.md, "Canonical ABI Options"). */
export interface CanonOptions {
  readonly memory: CoreSource | null;
  readonly realloc: CoreSource | null;
  readonly postReturn: CoreSource | null;
  readonly encoding: 'utf8' | 'utf16' | 'latin1+utf16';
}

export type Trampoline =
  /** A host function, lowered: `wasi:io/streams@0.2.6` and `[method]input-stream.read`. */
  | {
      readonly kind: 'lower';
      readonly interface: string;
      readonly name: string;
      readonly type: FuncType;
      readonly options: CanonOptions;
    }
  | { readonly kind: 'resource-drop'; readonly resource: ResourceId }
  | { readonly kind: 'resource-new'; readonly resource: ResourceId }
  | { readonly kind: 'resource-rep'; readonly resource: ResourceId };

export interface CoreInstantiation {
  /** Index into `modules`. */
  readonly module: number;
  readonly imports: readonly {
    readonly module: string;
    readonly name: string;
    readonly source: CoreSource;
  }[];
  /** The memory that the host makes for it (`fissium` `memory`); absent where it imports none from there. */
  readonly memory?: WantedMemory;
}

/** A function that the component exports. */
export interface LiftedExport {
  /** `wasi:http/incoming-handler@0.2.6`; '' for a function exported at the top. */
  readonly interface: string;
  readonly name: string;
  readonly type: FuncType;
  readonly core: CoreSource;
  readonly options: CanonOptions;
}

export interface ResourceInfo {
  /** `wasi:io/streams@0.2.6`; '' for a resource that the component defines. */
  readonly interface: string;
  readonly name: string;
  readonly imported: boolean;
  readonly destructor: CoreSource | null;
}

/** How a used instance is made clean again. */
export interface ResetPlan {
  /** Core instances that export a reset function, in the order in which they were made. */
  readonly instances: readonly number[];
  /** Where the host may write without the reset being told; null: nowhere. */
  readonly window: { readonly from: number; readonly to: number } | null;
}

export interface LinkPlan {
  /** Core modules, by their size in bytes: the component's own (see {@link BinaryPlan}), or the one made of them. */
  readonly modules: readonly { readonly length: number }[];
  readonly instantiations: readonly CoreInstantiation[];
  readonly trampolines: readonly Trampoline[];
  readonly resources: readonly ResourceInfo[];
  readonly exports: readonly LiftedExport[];
  /** Called once all core instances are made: what start functions of merged core modules did. */
  readonly start?: CoreSource;
  /** Absent where each request needs a new instance. */
  readonly reset?: ResetPlan;
  /** Nothing of the guest runs while it is instantiated: that may be done outside of any request. */
  readonly ahead?: boolean;
}

/** A plan as the linker made it: its core modules are byte ranges of the component's binary. */
export interface BinaryPlan extends LinkPlan {
  readonly modules: readonly { readonly offset: number; readonly length: number }[];
}

/** The file that prepare writes a plan to. */
export const PLAN_FILE = 'plan.json';

/** The name of core module `index` in a manifest. */
export function moduleName(index: number): string {
  return `module${index}`;
}

/** A plan as prepare stored it. The file is ours, under the data folder: it is not checked again. */
export function readPlan(json: string): LinkPlan {
  return JSON.parse(json) as LinkPlan;
}

/**
 * Index of the export that answers requests.
 * @throws LinkDeclined where it is missing or has another signature than `wasi:http/incoming-handler`'s
 */
export function findEntry(plan: LinkPlan, interfaceName: string): number {
  const index = plan.exports.findIndex((item) => item.interface === interfaceName && item.name === 'handle');
  const entry = plan.exports[index];
  if (!entry) throw new LinkDeclined(`it does not export ${interfaceName} handle`);
  const { params, result } = entry.type;
  if (params.length !== 2 || result !== null || params.some(({ type }) => type.kind !== 'own')) {
    throw new LinkDeclined(`its handle has another signature than that of ${interfaceName}`);
  }
  if (entry.options.postReturn) throw new LinkDeclined('its handle has a function to be called after it');
  return index;
}
