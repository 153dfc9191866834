import type { Logger } from 'pino';

import type { EventRecorder, KubeClient } from '../kube/index.ts';
import type { Clock } from './ports.ts';
import type { StatusWriter } from './status.ts';
import type { Watched } from './watched.ts';

/** What every reconciler uses. */
export interface ReconcilerContext {
  readonly client: KubeClient;
  readonly statuses: StatusWriter;
  readonly events: EventRecorder;
  readonly watched: Watched;
  readonly logger: Logger;
  readonly now: Clock;
}
