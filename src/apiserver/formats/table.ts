/** `meta.k8s.io/v1` Tables: what `kubectl get` prints. */
import { ageOf } from './human-duration.ts';
import { compileJsonPath } from './json-path.ts';
import { ownObject } from './json.ts';
import type { JsonObject } from './json.ts';
import type { ColumnInfo, KindInfo } from './kind-info.ts';

/** What of each object goes into its row, from the `includeObject` parameter. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableOptions {
  /** @default 'Metadata' */
  readonly includeObject?: IncludeObject;
  /** Ages are counted up to this time, in ms since 1970. */
  readonly nowMs: number;
  /** The list's own metadata: resourceVersion, continue, remainingItemCount. */
  readonly listMeta?: JsonObject;
}

/** The parameter's value, or undefined where it is none of the three (a 400). */
export function parseIncludeObject(value: string | null | undefined): IncludeObject | undefined {
  if (value === undefined || value === null || value === '') return 'Metadata';
  return value === 'None' || value === 'Metadata' || value === 'Object' ? value : undefined;
}

const NAME_COLUMN: ColumnInfo = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Unique within a namespace, given by whoever creates the object.',
  jsonPath: '.metadata.name',
};

/** The usual last column. */
export const AGE_COLUMN: ColumnInfo = {
  name: 'Age',
  type: 'date',
  description: 'Time since the object was created.',
  jsonPath: '.metadata.creationTimestamp',
};

type Cell = (object: JsonObject, nowMs: number) => unknown;

interface CompiledColumns {
  readonly definitions: readonly JsonObject[];
  readonly cells: readonly Cell[];
}

/** Compiled once for each kind, not for each request. */
const compiled = new WeakMap<Pick<KindInfo, 'columns'>, CompiledColumns>();

function columnsOf(info: Pick<KindInfo, 'columns'>): CompiledColumns {
  const existing = compiled.get(info);
  if (existing) return existing;
  const own = info.columns.length === 0 ? [AGE_COLUMN] : info.columns;
  const columns = own.some((column) => column.name === 'Name') ? own : [NAME_COLUMN, ...own];
  const made = { definitions: columns.map(columnDefinition), cells: columns.map(cellOf) };
  compiled.set(info, made);
  return made;
}

function columnDefinition(column: ColumnInfo): JsonObject {
  return {
    name: column.name,
    type: column.type,
    format: column.format ?? '',
    description: column.description ?? '',
    priority: column.priority ?? 0,
  };
}

function cellOf(column: ColumnInfo): Cell {
  if (column.cell !== undefined) return column.cell;
  const path = compileJsonPath(column.jsonPath ?? '.metadata.name');
  if (column.type === 'date') {
    return (object, nowMs) => {
      const value = path(object)[0];
      return value === undefined && column.jsonPath !== AGE_COLUMN.jsonPath ? null : ageOf(value, nowMs);
    };
  }
  return (object) => typedCell(column.type, path(object)[0]);
}

/** The value as the column's type has it; null, printed as nothing, where it is missing or of another type. */
function typedCell(type: ColumnInfo['type'], value: unknown): unknown {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'string':
      return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number | boolean);
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return null;
  }
}

function rowObject(object: JsonObject, include: IncludeObject): unknown {
  switch (include) {
    case 'None':
      return null;
    case 'Object':
      return object;
    case 'Metadata':
      return partialMetadata(object);
  }
}

/** The object as PartialObjectMetadata: nothing but its metadata. */
export function partialMetadata(object: JsonObject): JsonObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: 'meta.k8s.io/v1',
    metadata: ownObject(object, 'metadata') ?? {},
  };
}

/** A Table of the objects: for a list, or with one row for a single object or a watch event. */
export function toTable(
  info: Pick<KindInfo, 'columns'>,
  objects: readonly JsonObject[],
  options: TableOptions,
): JsonObject {
  const { definitions, cells } = columnsOf(info);
  const include = options.includeObject ?? 'Metadata';
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.listMeta ?? {},
    columnDefinitions: definitions,
    rows: objects.map((object) => ({
      cells: cells.map((cell) => cell(object, options.nowMs)),
      object: rowObject(object, include),
    })),
  };
}
