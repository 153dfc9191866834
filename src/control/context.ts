import type { Logger } from 'pino';

import type { Platform } from '../api/index.ts';
import type { Events, KubeClient } from '../kube/index.ts';
import type { Clock } from './ports.ts';
import type { Statuses } from './status.ts';
import type { Watched } from './watched.ts';

/** What every reconciler uses. */
export interface ReconcilerContext {
  readonly client: KubeClient;
  readonly statuses: Statuses;
  readonly events: Events;
  readonly watched: Watched;
  readonly logger: Logger;
  readonly now: Clock;
  /** What runs functions, which decides which fields of a spec have an effect. */
  readonly platform: Platform;
}
