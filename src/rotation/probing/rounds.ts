import type { Logger } from 'pino';

import type { Clock } from '../../clock.js';
import type { Rotation } from '../types.js';
import type { Prober } from './prober.js';

const intervalMs = 30_000;

export type RoundsOptions = {
  readonly prober: Prober;
  readonly clock: Clock;
  readonly logger: Logger;
  /** From the beginning of one round to that of the next, milliseconds. Default 30 000. */
  readonly intervalMs?: number;
};

/** Rounds of probes, one after another, beside whoever asks for them: a round may take minutes. */
export type Rounds = {
  /**
   * Begins rounds for these rotations where one is due, and returns at once. One that is under way for another state of a
   * rotation is broken off. With `now` a round is due in any case.
   */
  kick(rotations: readonly Rotation[], options?: { readonly now?: boolean }): void;
  /** No further round; resolves when the present one has ended. */
  stop(): Promise<void>;
};

type Running = { readonly of: string; readonly abort: AbortController; readonly done: Promise<void> };

export function createRounds(options: RoundsOptions): Rounds {
  const { prober, clock, logger } = options;
  let running: Running | undefined;
  let last: { readonly of: string; readonly at: number } | undefined;
  let stopped = false;
  const begin = (of: string, rotations: readonly Rotation[], before: Promise<void> | undefined): void => {
    const abort = new AbortController();
    last = { of, at: clock.now().getTime() };
    const done = roundsOf(prober, rotations, { logger, signal: abort.signal, before }).finally(() => {
      if (running?.abort === abort) running = undefined;
    });
    running = { of, abort, done };
  };
  return {
    kick: (rotations, { now = false } = {}) => {
      if (stopped) return;
      const of = rotations.map(({ id, state }) => `${id}/${state}`).join(' ');
      if (running?.of === of) return;
      running?.abort.abort();
      if (rotations.length === 0) return;
      const age = last?.of === of ? clock.now().getTime() - last.at : undefined;
      // A clock that was set back makes a round of a later time.
      const due = age === undefined || age < 0 || age >= (options.intervalMs ?? intervalMs);
      if (due || now) begin(of, rotations, running?.done);
    },
    stop: async () => {
      stopped = true;
      running?.abort.abort();
      await running?.done;
    },
  };
}

async function roundsOf(
  prober: Prober,
  rotations: readonly Rotation[],
  {
    logger,
    signal,
    before,
  }: { readonly logger: Logger; readonly signal: AbortSignal; readonly before: Promise<void> | undefined },
): Promise<void> {
  await before;
  for (const rotation of rotations) {
    if (signal.aborted) return;
    try {
      const report = await prober.round(rotation, signal);
      if (report.looked > 0) logger.debug({ rotation: rotation.id, ...report }, 'looked at endpoints');
    } catch (error) {
      logger.warn({ err: error, rotation: rotation.id }, 'endpoints could not be looked at; it is tried again');
    }
  }
}
