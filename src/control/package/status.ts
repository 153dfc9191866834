import type { Package } from '../../api/index.ts';
import type { FissiumError } from '../../errors.ts';
import { withConditions } from '../conditions.ts';
import { findCondition, timestamp } from '../status.ts';
import type { PreparedWasm } from './package-states.ts';

export type PackageStatus = NonNullable<Package['status']>;

/** What a package's status is to say. */
export type PackageOutcome =
  | { readonly kind: 'running' }
  | {
      readonly kind: 'succeeded';
      readonly archiveDigest: string;
      /** Null where the archive holds several .wasm and the functions must name one. */
      readonly prepared: PreparedWasm | null;
      readonly note: string;
    }
  | { readonly kind: 'stored'; readonly buildStatus: 'none' | 'succeeded' }
  | { readonly kind: 'waiting' | 'failed'; readonly reason: string; readonly error: FissiumError };

export function packageStatus(
  before: PackageStatus | undefined,
  {
    outcome,
    generation,
    notServed,
    now,
  }: {
    readonly outcome: PackageOutcome;
    readonly generation: number;
    readonly notServed: readonly string[];
    readonly now: Date;
  },
): PackageStatus {
  const fields = describe(outcome);
  if (outcome.kind === 'running' && isSettledFor(before, generation)) return before ?? {};
  const after: PackageStatus = withConditions<PackageStatus>(before, {
    generation,
    now,
    notServed,
    verdict: { ready: fields.ready, reason: fields.reason, message: fields.message },
    others: [
      fields.prepared === null
        ? { remove: 'Prepared' }
        : {
            type: 'Prepared',
            status: fields.prepared ? 'True' : 'False',
            reason: fields.reason,
            message: fields.message,
          },
    ],
  });
  after.buildstatus = fields.buildStatus;
  after.buildlog = fields.buildLog;
  if (outcome.kind === 'succeeded') after.contentHash = outcome.archiveDigest;
  const isNews =
    before?.buildstatus !== after.buildstatus ||
    before?.contentHash !== after.contentHash ||
    before?.observedGeneration !== after.observedGeneration;
  if (isNews || before?.lastUpdateTimestamp === undefined) after.lastUpdateTimestamp = timestamp(now);
  return after;
}

/** Whether the status already tells how this generation ended: then a restart need not say `running` again. */
function isSettledFor(status: PackageStatus | undefined, generation: number): boolean {
  const ready = findCondition(status, 'Ready');
  return (
    ready?.observedGeneration === generation &&
    (status?.buildstatus === 'succeeded' || status?.buildstatus === 'failed')
  );
}

interface Fields {
  readonly buildStatus: NonNullable<PackageStatus['buildstatus']>;
  readonly buildLog: string;
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
  /** Null where there is nothing to prepare. */
  readonly prepared: boolean | null;
}

function describe(outcome: PackageOutcome): Fields {
  switch (outcome.kind) {
    case 'running':
      return {
        buildStatus: 'running',
        buildLog: '',
        ready: false,
        reason: 'Preparing',
        message: 'The archive is fetched, checked and prepared.',
        prepared: false,
      };
    case 'succeeded': {
      const { prepared, note } = outcome;
      const message =
        prepared === null
          ? note
          : `Engine ${prepared.manifest.engine}: ${prepared.manifest.reason}; ${prepared.file === '' ? '' : `file ${prepared.file}, `}sha256 ${prepared.digest}.`;
      return {
        buildStatus: 'succeeded',
        buildLog: message,
        ready: true,
        reason: 'Prepared',
        message,
        prepared: true,
      };
    }
    case 'stored':
      return {
        buildStatus: outcome.buildStatus,
        buildLog: '',
        ready: true,
        reason: 'Stored',
        message: 'Stored: functions load it as it is.',
        prepared: null,
      };
    case 'waiting':
    case 'failed':
      return {
        buildStatus: outcome.kind === 'waiting' ? 'pending' : 'failed',
        buildLog: outcome.error.message,
        ready: false,
        reason: outcome.reason,
        message: outcome.error.message,
        prepared: false,
      };
  }
}
