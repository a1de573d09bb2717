import type { Logger } from 'pino';

import type { Audit } from './types.js';

/**
 * Writes each event in the transaction of what it tells, and to the log at level info once that is durable. Nothing is
 * awaited: the rows of one batch are inserted together.
 */
export function createAudit(options: { logger: Logger }): Audit {
  const logger = options.logger.child({ component: 'audit' });
  return {
    record(tx, event) {
      tx.appendAudit({ ...event, detail: JSON.stringify(event.detail) });
      if (logger.isLevelEnabled('info')) {
        tx.onCommit(() => {
          logger.info(event, event.action);
        });
      }
      return Promise.resolve();
    },
  };
}
