/** How a client learns that its call has failed. */
import type { FissiumError } from '../errors.ts';
import { answerError } from './answers.ts';
import type { CallPlan } from './call-plan.ts';
import type { Exchange } from './exchange.ts';
import { isFieldValue, REFUSED_HEADER } from './headers.ts';
import { endsWithConnection } from './send-response.ts';
import { UpgradeExchange } from './upgrade.ts';

/**
 * Answers with the failure, or breaks off the answer that has begun: never in a way that looks like its end.
 * @param refused whether to tell a router that nothing ran, so that it may ask another host
 */
export function answerFailure(
  exchange: Exchange,
  plan: CallPlan,
  error: FissiumError,
  refused: boolean,
): void {
  const { req, res, requestId } = exchange;
  if (exchange instanceof UpgradeExchange && exchange.headersSent && exchange.status === 101) exchange.cut();
  else if (!exchange.headersSent) {
    if (exchange.closing()) res.shouldKeepAlive = false;
    // Fields that could not be sent must not keep the failure from being told.
    const fields = plan.responseFields.filter(([, value]) => isFieldValue(value));
    if (refused) fields.push([REFUSED_HEADER, '1']);
    answerError(req, res, error, requestId, fields);
  } else if (endsWithConnection(res)) res.socket?.resetAndDestroy();
  else res.destroy();
}
