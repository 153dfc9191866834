/**
 * Kinds of Fission that this version does not have. They are known to the API all the same, so that clients which
 * list them (`fission spec list`, `canary list`, `support dump`) find none instead of an error; none can be created.
 */
import type { JsonObject } from './json.ts';
import { GROUP, VERSION } from './kind.ts';

export interface LaterKind {
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const later = (kind: string, namespaced = true): LaterKind => ({
  kind,
  // As Fission names them.
  plural: kind === 'FunctionAlias' ? 'functionaliases' : `${kind.toLowerCase()}s`,
  namespaced,
});

export const LATER_KINDS: readonly LaterKind[] = [
  later('CanaryConfig'),
  later('FunctionVersion'),
  later('FunctionAlias'),
  later('Workflow'),
  later('WorkflowRun'),
  later('FissionTenant', false),
];

/** What whoever tries to create one is told. */
export function whyNotYet({ kind }: LaterKind): string {
  return `this version of Fissium does not have ${kind} yet`;
}

/**
 * Its definition for a cluster. Objects that Fission left there stay as they are, with all their fields, and may be
 * changed and deleted: only what is new is refused.
 */
export function laterCrd(kind: LaterKind): JsonObject {
  const name = kind.kind.toLowerCase();
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: kind.namespaced ? 'Namespaced' : 'Cluster',
      names: { kind: kind.kind, listKind: `${kind.kind}List`, plural: kind.plural, singular: name },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: 'A kind of Fission that this version does not have.',
              'x-kubernetes-preserve-unknown-fields': true,
              'x-kubernetes-validations': [
                { rule: 'oldSelf.hasValue()', optionalOldSelf: true, message: whyNotYet(kind) },
              ],
            },
          },
        },
      ],
    },
  };
}
