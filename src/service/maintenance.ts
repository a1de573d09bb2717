import type { Logger } from 'pino';

/** How often the service looks whether its own credentials, held requests or what a dead replica left are due. */
const intervalMs = 15_000;

export type Maintenance = {
  /** Does now what is due; a call while one runs joins it. */
  run(): Promise<void>;
  /** No further run; resolves when the current one has ended. */
  stop(): Promise<void>;
};

/** Runs the duties one after another, again and again. One that fails is logged, and does not keep the others from running. */
export function startMaintenance(duties: readonly (() => Promise<void>)[], logger: Logger): Maintenance {
  let running: Promise<void> | undefined;
  const round = async (): Promise<void> => {
    for (const duty of duties) {
      try {
        await duty();
      } catch (error) {
        logger.error({ err: error }, 'a recurring duty failed; it is tried again');
      }
    }
  };
  const run = (): Promise<void> => {
    running ??= round().finally(() => {
      running = undefined;
    });
    return running;
  };
  const timer = setInterval(() => void run(), intervalMs);
  timer.unref();
  return {
    run,
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
