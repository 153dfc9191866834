/** The columns that Kubernetes prints for its core kinds. */
import { ageOf } from './human-duration.ts';
import { isJsonObject, ownObject, ownString } from './json.ts';
import type { JsonObject } from './json.ts';
import type { ColumnInfo } from './kind-info.ts';
import { AGE_COLUMN } from './table.ts';

const countKeys = (value: unknown): number => (isJsonObject(value) ? Object.keys(value).length : 0);

const DATA_COLUMN = {
  name: 'Data',
  type: 'integer',
  description: 'How many keys it has.',
  cell: (object) => countKeys(object.data) + countKeys(object.binaryData),
} as const satisfies ColumnInfo;

export const NAMESPACE_COLUMNS: readonly ColumnInfo[] = [
  { name: 'Status', type: 'string', description: 'The phase of its life.', jsonPath: '.status.phase' },
  AGE_COLUMN,
];
export const CONFIG_MAP_COLUMNS: readonly ColumnInfo[] = [DATA_COLUMN, AGE_COLUMN];
export const SECRET_COLUMNS: readonly ColumnInfo[] = [
  { name: 'Type', type: 'string', description: 'What kind of secret it is.', jsonPath: '.type' },
  DATA_COLUMN,
  AGE_COLUMN,
];

/** The first of the two that is set, since events carry whole seconds, microseconds, or a series. */
function eventTimes(event: JsonObject): { first: unknown; last: unknown; count: number } {
  const series = ownObject(event, 'series');
  const first = event.firstTimestamp ?? event.eventTime;
  const count = typeof event.count === 'number' && event.count > 0 ? event.count : 1;
  if (series === undefined) return { first, last: event.lastTimestamp ?? first, count };
  return {
    first,
    last: series.lastObservedTime ?? event.lastTimestamp ?? first,
    count: typeof series.count === 'number' ? series.count : count,
  };
}

function eventSource(event: JsonObject): string {
  const source = ownObject(event, 'source');
  const component = ownString(source, 'component') || ownString(event, 'reportingComponent');
  const host = ownString(source, 'host') || ownString(event, 'reportingInstance');
  return host === '' ? component : `${component}, ${host}`;
}

function eventObject(event: JsonObject): string {
  const involved = ownObject(event, 'involvedObject');
  const kind = ownString(involved, 'kind').toLowerCase();
  const name = ownString(involved, 'name');
  return name === '' ? kind : `${kind}/${name}`;
}

export const EVENT_COLUMNS: readonly ColumnInfo[] = [
  { name: 'Last Seen', type: 'string', cell: (event, nowMs) => ageOf(eventTimes(event).last, nowMs) },
  { name: 'Type', type: 'string', jsonPath: '.type' },
  { name: 'Reason', type: 'string', jsonPath: '.reason' },
  { name: 'Object', type: 'string', cell: eventObject },
  { name: 'Subobject', type: 'string', priority: 1, jsonPath: '.involvedObject.fieldPath' },
  { name: 'Source', type: 'string', priority: 1, cell: eventSource },
  { name: 'Message', type: 'string', cell: (event) => ownString(event, 'message').trim() },
  {
    name: 'First Seen',
    type: 'string',
    priority: 1,
    cell: (event, nowMs) => ageOf(eventTimes(event).first, nowMs),
  },
  { name: 'Count', type: 'integer', priority: 1, cell: (event) => eventTimes(event).count },
  { name: 'Name', type: 'string', priority: 1, format: 'name', jsonPath: '.metadata.name' },
];
