/** Everything that can be measured, in the order in which it is shown. */
import { fissiumJco } from './fissium-jco.ts';
import { fissium } from './fissium.ts';
import { jco, jcoIsolated } from './jco-serve.ts';
import { nodeHttp } from './node-http.ts';
import type { Rival } from './rival.ts';
import { wasmtime } from './wasmtime.ts';
import { workerd } from './workerd.ts';

export const RIVALS: readonly Rival[] = [fissium, fissiumJco, wasmtime, jcoIsolated, jco, workerd, nodeHttp];
export type { Rival, Running } from './rival.ts';
