/** Objects that are not stored: each is told from a stored one, or from the platform itself. They are read-only. */
import type { RequestSigner } from '../../auth/request-signer.ts';
import type { KubeObject } from '../object.ts';

/** What the objects that stand for the platform's own parts are made from. */
export interface PlatformFacts {
  /** Of the control plane. */
  readonly namespace: string;
  /** Fissium's version. */
  readonly release: string;
  readonly startedAt: Date;
  /** Service → base URL, as the Service proxy has them; empty until the platform listens. */
  readonly upstreams: Readonly<Record<string, string>>;
  /** For requests to the internal listener. @default nothing is added */
  readonly signInternal?: RequestSigner;
}

/** Looks up a stored object. */
export type Lookup = (resource: string, namespace: string, name: string) => KubeObject | undefined;

export interface View {
  /** Why it cannot be written and what to write instead, after the name of the resource. */
  readonly readOnly: string;
  /** The label selector that is meant by one that a client sends. @default as it is sent */
  readonly labelSelector?: (text: string) => string;
  /** Subresources that are served beside the object. */
  readonly subresources?: readonly string[];
  /** One object for each stored one of a resource. */
  readonly from?: {
    readonly resource: string;
    /** The stored object that the one of this name would stand for. */
    readonly storedName: (name: string) => string;
    readonly make: (stored: KubeObject, lookup: Lookup) => KubeObject;
  };
  /** What is there as long as the platform is. */
  readonly fixed?: (facts: PlatformFacts) => readonly KubeObject[];
}
