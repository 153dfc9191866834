import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadResult {
  readonly answered: number;
  /** What went wrong, by its words, with how often. */
  readonly failures: Readonly<Record<string, number>>;
}

export interface Load {
  /** Ends it and says what came of all requests. */
  stop(): Promise<LoadResult>;
  /** Requests answered so far. */
  readonly answered: number;
}

/**
 * Asks a URL from `clients` loops, one request after the other in each, until told to stop. Whatever is no status
 * below 400 with a body is a failure.
 * @param pauseMs between a loop's requests
 */
export function startLoad(url: string, clients = 8, pauseMs = 10): Load {
  const failures: Record<string, number> = {};
  let answered = 0;
  let isStopped = false;
  const loop = async (): Promise<void> => {
    while (!isStopped) {
      try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
        const body = await answer.text();
        if (answer.status < 400) answered++;
        else count(`${answer.status} ${body.slice(0, 200)}`);
      } catch (error) {
        count(wordsOf(error));
      }
      await sleep(pauseMs);
    }
  };
  const count = (words: string): void => {
    failures[words] = (failures[words] ?? 0) + 1;
  };
  const loops = Array.from({ length: clients }, loop);
  return {
    get answered() {
      return answered;
    },
    stop: async () => {
      isStopped = true;
      await Promise.all(loops);
      return { answered, failures };
    },
  };
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it threw no Error';
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
