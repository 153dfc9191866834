/** The same platform with jco's engine under it: what the component engine is there to beat. */
import { platform } from './fissium.ts';

export const fissiumJco = platform({
  name: 'fissium-jco',
  title: "Fissium with jco's engine",
  isolation: 'a fresh instance for each request',
  // It transpiles each, a third of a second of it.
  maxCodes: 100,
  neverIdle: 'keeps no instance that could be dropped: each request gets a new one',
  upArguments: ['--engine', 'jco'],
});
