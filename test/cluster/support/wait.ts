import { setTimeout as sleep } from 'node:timers/promises';
import { logsOf } from './dump.ts';
import { kubectl, list } from './kubectl.ts';

const EVERY_MS = 100;
const TIMEOUT_MS = 60_000;

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/**
 * Asks until `look` gives something else than `undefined` or `false`, or no longer throws.
 * @throws Error after `timeoutMs`, with `what` and what `look` threw last
 * @default timeoutMs 60000
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let last: Error | undefined;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (error) {
      last = error instanceof Error ? error : new Error('it threw no Error', { cause: error });
    }
    if (Date.now() > end) {
      const why = last === undefined ? '' : `: ${last.message}`;
      throw new Error(`not within ${timeoutMs / 1000} s: ${what}${why}`, { cause: last });
    }
    await sleep(EVERY_MS);
  }
}

/**
 * Waits until an object's status has a condition, with a certain status and, if given, reason.
 * @throws Error with the conditions that it has instead, and its events
 */
export async function condition(
  kind: string,
  name: string,
  namespace: string,
  wanted: { readonly type: string; readonly status: 'True' | 'False' | 'Unknown'; readonly reason?: string },
  timeoutMs = TIMEOUT_MS,
): Promise<Condition> {
  let seen: readonly Condition[] = [];
  try {
    return await eventually(
      `condition ${JSON.stringify(wanted)} of ${kind} ${namespace}/${name}`,
      async () => {
        const text = await kubectl('get', kind, name, '-n', namespace, '-o', 'jsonpath={.status.conditions}');
        seen = text === '' ? [] : (JSON.parse(text) as Condition[]);
        return seen.find(
          ({ type, status, reason }) =>
            type === wanted.type &&
            status === wanted.status &&
            (wanted.reason === undefined || reason === wanted.reason),
        );
      },
      timeoutMs,
    );
  } catch (error) {
    const events = await eventsOf(name, namespace).catch(String);
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}\nit has ${JSON.stringify(seen)}\n${events}`,
      { cause: error },
    );
  }
}

/** Waits for a Deployment's rollout to be whole. @throws Error with the events and logs of its namespace */
export async function rolledOut(
  deployment: string,
  namespace: string,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  const timeout = `--timeout=${Math.ceil(timeoutMs / 1000)}s`;
  try {
    await kubectl('rollout', 'status', `deployment/${deployment}`, '-n', namespace, timeout);
  } catch (error) {
    throw new Error([String(error), await events(namespace), ...(await logsOf(namespace))].join('\n'), {
      cause: error,
    });
  }
}

/** Waits for at least `count` ready pods with certain labels, and gives their names. */
export async function readyPods(
  namespace: string,
  selector: string,
  count: number,
  timeoutMs = TIMEOUT_MS,
): Promise<readonly string[]> {
  return eventually(
    `${count} ready pods with ${selector} in ${namespace}`,
    async () => {
      const pods = await list('pods', namespace, selector);
      const ready = pods.filter(({ status, metadata }) => {
        const { conditions = [] } = status as { conditions?: readonly Condition[] };
        const isEnding = metadata['deletionTimestamp'] !== undefined;
        return !isEnding && conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True');
      });
      return ready.length >= count && ready.map(({ metadata }) => metadata.name);
    },
    timeoutMs,
  );
}

/** A namespace's events as `kubectl get events` shows them, in order. */
export function events(namespace: string): Promise<string> {
  return kubectl('get', 'events', '-n', namespace, '--sort-by=.metadata.creationTimestamp');
}

function eventsOf(name: string, namespace: string): Promise<string> {
  return kubectl('get', 'events', '-n', namespace, `--field-selector=involvedObject.name=${name}`);
}
