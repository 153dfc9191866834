/** The guest memory of this thread: there is one, as there is one thread. */
import { ThreadMemory } from './thread-memory.ts';

/** Under no limits until it is attached to those of the process (`ThreadMemory.attach`). */
export const threadMemory = new ThreadMemory();
