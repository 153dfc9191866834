import type { KubeObject, ObjectKey } from '../object.ts';

/** One state of one object, kept as the JSON that clients get and parsed only when something looks inside. */
export class Revision {
  /** The resourceVersion of this state. */
  readonly rv: number;
  readonly key: ObjectKey;
  readonly json: string;
  #object: KubeObject | undefined;

  constructor(rv: number, key: ObjectKey, json: string, object?: KubeObject) {
    this.rv = rv;
    this.key = key;
    this.json = json;
    this.#object = object;
  }

  /** Shared between everyone who reads this revision: copy it before changing it. */
  get object(): KubeObject {
    // What is stored was checked when it was written.
    return (this.#object ??= JSON.parse(this.json) as KubeObject);
  }
}

/** One committed change of one object, in the order of `current.rv`. */
export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The state after the change; of a deleted object its last state, with the deletion's resourceVersion. */
  readonly current: Revision;
  /** The state before it; null for ADDED. */
  readonly previous: Revision | null;
}
