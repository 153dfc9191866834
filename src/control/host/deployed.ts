/** What a Wasm host says of its functions, for the controller: `GET /v1/deployed`. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { FissionFunction } from '../../api/index.ts';
import { findCondition } from '../status.ts';

export interface DeployedFunctionReport {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Of the function, as the host judged it last; 0 where it has not judged it yet. */
  readonly generation: number;
  /** Whether exactly this generation is served. */
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
}

/** The body of the answer. */
export interface DeployedReport {
  readonly functions: readonly DeployedFunctionReport[];
}

/** What a host knows of its functions. */
export interface HostState {
  functions(): Iterable<FissionFunction>;
  statusOf(fn: FissionFunction): FissionFunction['status'];
}

/** Handles requests for the report. */
export function deployedReport(
  state: HostState,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (_request, response) => {
    const functions = Array.from(state.functions(), (fn) => reportOf(fn, state.statusOf(fn)));
    const body = Buffer.from(`${JSON.stringify({ functions } satisfies DeployedReport)}\n`);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  };
}

function reportOf({ metadata }: FissionFunction, status: FissionFunction['status']): DeployedFunctionReport {
  const { namespace = '', name, uid = '' } = metadata;
  const condition = findCondition(status, 'Ready');
  return {
    namespace,
    name,
    uid,
    generation: condition === undefined ? 0 : (status?.observedGeneration ?? 0),
    ready: condition?.status === 'True',
    reason: condition?.reason ?? 'Pending',
    message: condition?.message ?? 'The host has not judged the function yet.',
  };
}
