import type { TSchema } from 'typebox';

/** The API group and version of all our kinds. */
export const GROUP = 'fission.io';
export const VERSION = 'v1';
export const API_VERSION = `${GROUP}/${VERSION}` as const;

/** What is wrong with one field. */
export interface FieldError {
  /** Dotted, as people write it: `spec.environment.name`, `spec.secrets[0].name`; '' for the object itself. */
  readonly path: string;
  /** What was seen and what is allowed, to be read after the path. */
  readonly message: string;
  /** The field is not in the schema: refused in strict mode, dropped with a warning otherwise. */
  readonly unknown?: boolean;
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** Kubernetes' JSONPath, e.g. `.status.conditions[?(@.type=="Ready")].status`. */
  readonly jsonPath: string;
  /** Over 0: only in `-o wide`. */
  readonly priority?: number;
  readonly description?: string;
}

export type KindName =
  | 'Environment'
  | 'Function'
  | 'Package'
  | 'HTTPTrigger'
  | 'TimeTrigger'
  | 'MessageQueueTrigger'
  | 'KubernetesWatchTrigger';

/** All that the API server, the CRDs and the CLI need to know of a kind. */
export interface KindDefinition {
  readonly kind: KindName;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly listKind: string;
  readonly schema: TSchema;
  readonly printerColumns: readonly PrinterColumn[];
  /** Everything wrong with any JSON value as an object of this kind; empty where nothing is. Never throws. */
  validate(object: unknown): FieldError[];
  /** What is wrong with the change of a stored object to a valid new one (fields that cannot change). */
  validateUpdate(stored: unknown, object: unknown): FieldError[];
}

export const READY_COLUMN: PrinterColumn = {
  name: 'Ready',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].status',
  description: 'Whether it is served as its spec says.',
};

export const REASON_COLUMN: PrinterColumn = {
  name: 'Reason',
  type: 'string',
  jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
  priority: 1,
};

export const AGE_COLUMN: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
};
