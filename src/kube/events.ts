import { createHash } from 'node:crypto';

import type { Logger } from 'pino';

import { isAlreadyExists, isNotFound } from './api-error.ts';
import type { KubeClient } from './client.ts';
import { type KubeObject, RESOURCES, type ResourceType } from './resources.ts';

interface CoreEvent extends KubeObject {
  involvedObject: object;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  count: number;
  firstTimestamp: string;
  lastTimestamp: string;
  source: { component: string };
  reportingComponent: string;
}

/** Longest message that the API takes, bytes. */
const MESSAGE_LIMIT_BYTES = 1024;
/** How many different events are remembered for counting. */
const REMEMBERED = 1000;

/** Where events about objects go. */
export type Events = Pick<EventRecorder, 'recordEvent' | 'close'>;

/** For processes that leave events to others. */
export const SILENT_EVENTS: Events = { recordEvent: () => undefined, close: () => Promise.resolve() };

/**
 * Writes core/v1 Events about objects. The same event (object, type, reason, message) again raises its count
 * instead of making another. Best effort: failures are logged and never reach the caller.
 */
export class EventRecorder {
  readonly #client: KubeClient;
  readonly #component: string;
  readonly #logger: Logger;
  /** Counts by event, the most recently used last. */
  readonly #counts = new Map<string, { namespace: string; name: string; count: number }>();
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor({ client, component, logger }: { client: KubeClient; component: string; logger: Logger }) {
    this.#client = client;
    this.#component = component;
    this.#logger = logger.child({ component: 'events' });
  }

  /** Returns at once; events are written one after another. */
  recordEvent(
    kind: ResourceType,
    object: KubeObject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void {
    if (this.#closed) return;
    this.#writing = this.#writing.then(async () => {
      if (this.#closed) return;
      try {
        await this.#write(kind, object, type, reason, shorten(message));
      } catch (error) {
        if (!this.#closed) this.#logger.warn({ err: error, reason }, 'an event could not be written');
      }
    });
  }

  /** Resolves when everything recorded so far is written or given up. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writing;
  }

  async #write(
    kind: ResourceType,
    object: KubeObject,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): Promise<void> {
    const { namespace = 'default', name, uid } = object.metadata;
    const key = createHash('sha256')
      .update(JSON.stringify([kind.kind, namespace, name, uid, type, reason, message]))
      .digest('hex');
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const eventName = `${name.slice(0, 200)}.${key.slice(0, 16)}`;

    const known = this.#counts.get(key);
    const count = (known?.count ?? 0) + 1;
    this.#remember(key, { namespace, name: eventName, count });
    if (known !== undefined) {
      try {
        await this.#client.patchMerge(RESOURCES.events, namespace, eventName, { count, lastTimestamp: now });
        return;
      } catch (error) {
        // Events expire; then it is a new one.
        if (!isNotFound(error)) throw error;
      }
    }
    const event: CoreEvent = {
      metadata: { name: eventName, namespace },
      involvedObject: {
        apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`,
        kind: kind.kind,
        name,
        namespace: object.metadata.namespace,
        uid,
        resourceVersion: object.metadata.resourceVersion,
      },
      type,
      reason,
      message,
      count,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: this.#component },
      reportingComponent: this.#component,
    };
    try {
      await this.#client.create(RESOURCES.events, event);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      // Written by an earlier process: go on counting from there.
      const before = await this.#client.get<CoreEvent>(RESOURCES.events, namespace, eventName);
      const next = (before.count ?? 0) + 1;
      this.#remember(key, { namespace, name: eventName, count: next });
      await this.#client.patchMerge(RESOURCES.events, namespace, eventName, {
        count: next,
        lastTimestamp: now,
      });
    }
  }

  #remember(key: string, entry: { namespace: string; name: string; count: number }): void {
    this.#counts.delete(key);
    this.#counts.set(key, entry);
    if (this.#counts.size > REMEMBERED) {
      const oldest = this.#counts.keys().next();
      if (oldest.done !== true) this.#counts.delete(oldest.value);
    }
  }
}

function shorten(message: string): string {
  if (Buffer.byteLength(message) <= MESSAGE_LIMIT_BYTES) return message;
  return `${Buffer.from(message)
    .subarray(0, MESSAGE_LIMIT_BYTES - 8)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')} …`;
}
