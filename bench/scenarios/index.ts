/** The scenarios, in the order in which they run and are shown. */
import { bodies } from './bodies.ts';
import { burst } from './burst.ts';
import { coldstart } from './coldstart.ts';
import { density } from './density.ts';
import { deploy } from './deploy.ts';
import { neighbour } from './neighbour.ts';
import { pools } from './pools.ts';
import type { Scenario } from './scenario.ts';
import { throughput } from './throughput.ts';
import { waiting } from './waiting.ts';

export const SCENARIOS: readonly Scenario[] = [
  coldstart,
  burst,
  throughput,
  bodies,
  waiting,
  density,
  neighbour,
  deploy,
  pools,
];

/** What `npm run bench` runs without an argument: about two minutes. */
export const SUMMARY: readonly string[] = ['coldstart', 'throughput', 'deploy'];

/** Scenarios that a full run measures once more with a component of JavaScript. */
export const WITH_JAVASCRIPT: readonly string[] = ['coldstart', 'throughput'];
export type { Scenario } from './scenario.ts';
