/** Resources that are asked and not stored: whoever holds the token may do everything. */
import { ACCESS_REVIEW_KIND, type KindInfo } from '../formats/index.ts';

const review = (group: string, kind: string): KindInfo => ({
  ...ACCESS_REVIEW_KIND,
  group,
  kind,
  plural: `${kind.toLowerCase()}s`,
  singular: kind.toLowerCase(),
  schema: { type: 'object', description: 'Answered in its status.' },
});

const AUTHORIZATION = 'authorization.k8s.io';

export interface Review {
  readonly kind: KindInfo;
  /** The answer, always the same. */
  readonly status: Readonly<Record<string, unknown>>;
}

const EVERYTHING = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };

const REVIEWS: readonly Review[] = [
  { kind: ACCESS_REVIEW_KIND, status: { allowed: true } },
  {
    kind: review(AUTHORIZATION, 'SelfSubjectRulesReview'),
    status: {
      resourceRules: [EVERYTHING],
      nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      incomplete: false,
    },
  },
  {
    kind: review('authentication.k8s.io', 'SelfSubjectReview'),
    status: { userInfo: { username: 'fissium-admin', groups: ['system:masters', 'system:authenticated'] } },
  },
];

export const REVIEW_KINDS: readonly KindInfo[] = REVIEWS.map(({ kind }) => kind);

/** The review of a path; undefined where it names none. */
export function findReview(group: string, version: string, plural: string): Review | undefined {
  return REVIEWS.find(
    ({ kind }) => kind.group === group && kind.version === version && kind.plural === plural,
  );
}
