/** What a call is made of. */
import type { Admission } from './admission.ts';
import type { CallObserver } from './call-observer.ts';
import type { FunctionTable } from './function-table.ts';

/** What every call needs of the platform. */
export interface CallServices {
  readonly functions: FunctionTable;
  readonly admission: Admission;
  readonly observer: CallObserver;
  /**
   * Whether requests come from the platform's own routers: then their headers are for the function as they are.
   * @default false
   */
  readonly fromRouters?: boolean;
}

/** Which function is called, and as what. */
export interface CallPlan {
  readonly namespace: string;
  readonly name: string;
  /** Path and query as the function sees them. */
  readonly pathWithQuery: string;
  readonly fullUrl: string;
  readonly authority: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** The trigger's path, for metrics; '' for a call by name. */
  readonly pattern: string;
  /** Fields to add to whatever is answered. */
  readonly responseFields: readonly (readonly [name: string, value: string])[];
  /** Names (lower case) of the function's own fields to leave out. */
  readonly dropsResponseField: (name: string) => boolean;
}
