import { dayMs, minuteMs, movedClock, quick } from '../rotation/support.js';
import type { Identity } from '../../src/identity/types.js';
import { startTestService, type TestService, type TestServiceOptions } from './service.js';

export const internal: Identity = {
  ...{ kind: 'internal', username: 'test', uid: '', groups: [], extra: {}, roles: ['admin'] },
};

/** A service whose time is moved by hand, and whose rotations go as fast as they may. */
export type RotatingService = TestService & {
  /** Lets time pass, and rotations go on, so many times. */
  pass(rounds?: number): Promise<void>;
  /** Says of every class that verifies the ring and that nobody is registered of, that there is none. */
  attestAbsent(ring: string): Promise<void>;
  readonly clock: ReturnType<typeof movedClock>;
};

/** Time begins in the past, so that what is issued while it is moved forward is valid by the clock of who connects. */
const headStartMs = 20 * 60 * minuteMs;

export async function startRotatingService(
  options: TestServiceOptions = {},
  clock = movedClock(Date.now() - headStartMs),
): Promise<RotatingService> {
  const service = await startTestService({
    ...options,
    config: { rotation: { automatic: false, ...quick }, ...options.config },
    overrides: { ...options.overrides, clock },
  });
  const { consumers } = service.service.context;
  return {
    ...service,
    clock,
    pass: async (rounds = 1) => {
      for (let round = 0; round < rounds; round += 1) {
        clock.forward(2 * minuteMs);
        await service.service.rotate();
      }
    },
    attestAbsent: async (ring) => {
      const { classes } = await consumers.verifiers(ring);
      for (const found of classes) {
        if (found.class === 'rotunda' || found.registered > 0) continue;
        const draft = { ring, class: found.class, statement: 'absent', ttlMs: 300 * dayMs, reason: 'a test' } as const;
        await consumers.attest(draft, internal);
      }
    },
  };
}
