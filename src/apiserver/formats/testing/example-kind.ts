import { ALL_VERBS } from '../core-kinds.ts';
import type { KindInfo } from '../kind-info.ts';

/** A custom kind for tests, so that they do not depend on the real ones. */
export const EXAMPLE_KIND: KindInfo = {
  group: 'example.io',
  version: 'v1',
  kind: 'Widget',
  plural: 'widgets',
  singular: 'widget',
  shortNames: ['wd'],
  namespaced: true,
  listKind: 'WidgetList',
  verbs: ALL_VERBS,
  categories: ['all'],
  hasStatus: true,
  columns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
  schema: {
    type: 'object',
    description: 'A thing that exists for tests.',
    properties: {
      spec: {
        type: 'object',
        description: 'What the widget is to be.',
        required: ['size'],
        properties: {
          size: { type: 'integer', format: 'int32', description: 'How big it is.' },
          port: { 'x-kubernetes-int-or-string': true, description: 'A number or a name.' },
          shape: { 'x-kubernetes-preserve-unknown-fields': true, description: 'Anything.' },
          color: { type: 'string', enum: ['red', 'blue'], description: 'The paint.' },
        },
      },
    },
  },
};
