import type { Package } from '../../api/index.ts';
import type { FissiumError } from '../../errors.ts';
import { type ConditionsInput, withConditions } from '../conditions.ts';
import { findCondition, timestamp } from '../status.ts';
import { isFinal } from './failures.ts';
import type { PreparedWasm } from './package-states.ts';

export type PackageStatus = NonNullable<Package['status']>;

/** What a package's status is to say. */
export type PackageOutcome =
  | { readonly kind: 'running' }
  /** The source is being built, or waits for its turn; `log` where it has ended and the result is being taken over. */
  | { readonly kind: 'building'; readonly phase: 'pending' | 'running'; readonly log?: string }
  | {
      readonly kind: 'buildFailed';
      readonly reason: string;
      readonly error: FissiumError;
      readonly log: string;
    }
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
    built,
  }: {
    readonly outcome: PackageOutcome;
    readonly generation: number;
    readonly notServed: readonly string[];
    readonly now: Date;
    /** Whether the deployment was built here: then the build's log stays. */
    readonly built: boolean;
  },
): PackageStatus {
  const fields = describe(outcome);
  if (outcome.kind === 'running' && isSettledFor(before, generation)) return before ?? {};
  const after: PackageStatus = withConditions<PackageStatus>(before, {
    generation,
    now,
    notServed,
    verdict: {
      ready: fields.ready,
      reason: fields.reason,
      message: fields.message,
      underWay: outcome.kind === 'building' || outcome.kind === 'running',
    },
    others: [
      fields.prepared === null
        ? { remove: 'Prepared' }
        : {
            type: 'Prepared',
            status: fields.prepared ? 'True' : outcome.kind === 'running' ? 'Unknown' : 'False',
            reason: fields.reason,
            message: fields.message,
          },
      buildCondition(outcome, built),
    ],
  });
  after.buildstatus = fields.buildStatus;
  after.buildlog = built ? withPrepareLog(before?.buildlog ?? '', fields.buildLog) : fields.buildLog;
  if (outcome.kind === 'succeeded') after.contentHash = outcome.archiveDigest;
  const isNews =
    before?.buildstatus !== after.buildstatus ||
    before?.contentHash !== after.contentHash ||
    before?.observedGeneration !== after.observedGeneration;
  if (isNews || before?.lastUpdateTimestamp === undefined) after.lastUpdateTimestamp = timestamp(now);
  return after;
}

/** Fission's condition of a package's build. */
function buildCondition(
  outcome: PackageOutcome,
  built: boolean,
): NonNullable<ConditionsInput['others']>[number] {
  const type = 'BuildSucceeded';
  if (outcome.kind === 'building' && outcome.log === undefined) {
    const reason = outcome.phase === 'pending' ? 'BuildPending' : 'BuildRunning';
    return { type, status: 'Unknown', reason, message: describe(outcome).message };
  }
  if (outcome.kind === 'buildFailed') {
    return { type, status: 'False', reason: outcome.reason, message: outcome.error.message };
  }
  if (!built && outcome.kind !== 'building') return { remove: type };
  return { type, status: 'True', reason: 'BuildSucceeded', message: 'The source was built.' };
}

const PREPARE_MARK = '--- what was built ---\n';

/** The build's own log, and behind it, once, what became of its result. */
function withPrepareLog(before: string, said: string): string {
  const [own = ''] = before.split(PREPARE_MARK, 1);
  if (said === '') return own;
  return `${own}${own === '' || own.endsWith('\n') ? '' : '\n'}${PREPARE_MARK}${said}\n`;
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
    case 'building': {
      const isRunning = outcome.phase === 'running';
      return {
        buildStatus: outcome.phase,
        buildLog: outcome.log ?? '',
        ready: false,
        reason: isRunning ? 'BuildRunning' : 'BuildPending',
        message: isRunning ? 'The source is being built.' : 'The source waits for its turn to be built.',
        prepared: null,
      };
    }
    case 'buildFailed':
      return {
        buildStatus: isFinal(outcome.error) ? 'failed' : 'pending',
        buildLog: outcome.log,
        ready: false,
        reason: outcome.reason,
        message: outcome.error.message,
        prepared: null,
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
