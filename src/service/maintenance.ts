import type { Logger } from 'pino';

/** How often the service looks whether its own credentials, held requests or what a dead replica left are due. */
const intervalMs = 15_000;

export type Maintenance = {
  /** Does now what is due; a call while one runs joins it. */
  run(): Promise<void>;
  /** No further run; resolves when the current one has ended. */
  stop(): Promise<void>;
};

/** For those who have to know whether everything was done. */
export type Duties = Maintenance & {
  /** Does now what is due, also what has come due while an earlier run lasted. Throws what the first duty that failed threw. */
  readonly complete: () => Promise<void>;
};

/** What a duty threw. */
type Failure = { readonly error: unknown };

/** Runs the duties one after another, again and again. One that fails is logged, and does not keep the others from running. */
export function startMaintenance(duties: readonly (() => Promise<void>)[], logger: Logger): Duties {
  let running: Promise<Failure | undefined> | undefined;
  const round = async (): Promise<Failure | undefined> => {
    let first: Failure | undefined;
    for (const duty of duties) {
      try {
        await duty();
      } catch (error) {
        first ??= { error };
        logger.error({ err: error }, 'a recurring duty failed; it is tried again');
      }
    }
    return first;
  };
  const join = (): Promise<Failure | undefined> => {
    running ??= round().finally(() => {
      running = undefined;
    });
    return running;
  };
  const timer = setInterval(() => void join(), intervalMs);
  timer.unref();
  return {
    run: async () => {
      await join();
    },
    complete: async () => {
      await running;
      const failure = await join();
      if (failure !== undefined) throw failure.error;
    },
    stop: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
