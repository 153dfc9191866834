/** What routers say of their load, and its sum over all of them. */

export interface FunctionLoadReport {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly strategy: 'poolmgr' | 'newdeploy' | 'container';
  readonly running: number;
  readonly queued: number;
  /** Since the last call ended; 0 while one runs. */
  readonly idleMs: number;
}

export interface EndpointLoadReport {
  /** `namespace/name` */
  readonly pod: string;
  readonly running: number;
  /** Since the last call ended; 0 while one runs. */
  readonly idleMs: number;
}

/** The body of a router's `GET /v1/loads`. */
export interface LoadReport {
  readonly functions: readonly FunctionLoadReport[];
  readonly endpoints: readonly EndpointLoadReport[];
}

/** The loads of all routers as they were read last. */
export interface Loads {
  /** `performance.now()` at the last reading that reached every ready router; null before the first. */
  readonly completeAtMs: number | null;
  /** Summed over the routers, `idleMs` the shortest; undefined where no router has heard of it for ten minutes. */
  functionOf(uid: string): FunctionLoadReport | undefined;
  endpointOf(pod: string): EndpointLoadReport | undefined;
  functions(): Iterable<FunctionLoadReport>;
}
