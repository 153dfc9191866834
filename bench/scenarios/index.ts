/** The scenarios, in the order in which they run and are shown. */
import { bodies } from './bodies.ts';
import { burst } from './burst.ts';
import { coldstart } from './coldstart.ts';
import { density } from './density.ts';
import { deploy } from './deploy.ts';
import { neighbour } from './neighbour.ts';
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
];

/** What `npm run bench` runs without an argument: two minutes. */
export const SUMMARY: readonly string[] = ['coldstart', 'throughput', 'deploy'];

/** Scenarios that are planned and why they do not run. */
export const NOT_YET: Readonly<Record<string, string>> = {
  pools:
    'needs a cluster (poolmgr, newdeploy, container): the platform does not serve container environments yet',
};
