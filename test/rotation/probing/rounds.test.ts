import { expect, it } from 'vitest';

import type { Prober } from '../../../src/rotation/probing/prober.js';
import { createRounds, type Rounds } from '../../../src/rotation/probing/rounds.js';
import type { Rotation } from '../../../src/rotation/types.js';
import { logger, testClock } from '../../ca/support.js';

const rotation = (id: string, state: Rotation['state']): Rotation => ({
  ...{ id, ring: id, kind: 'planned', state, version: 1, epoch: 2, paused: false, back: false, policy: 'manual' },
  ...{ crossSigned: true, oldKey: 'a', newKey: 'b', advanced: undefined, disagreement: undefined, marks: {} },
  ...{ options: {}, startedBy: 'test', reason: '', startedAt: 0, stateSince: 0, finishedAt: undefined },
});

type Session = {
  readonly rounds: Rounds;
  readonly log: string[];
  readonly end: () => Promise<void>;
  readonly tick: (milliseconds: number) => void;
};

/** A prober whose rounds last until they are ended or broken off. */
function session(fails = false): Session {
  const log: string[] = [];
  const open: (() => void)[] = [];
  const clock = testClock();
  const prober: Prober = {
    round: async ({ id, state }, signal) => {
      log.push(`${id}/${state}`);
      if (fails) throw new Error('no');
      await new Promise<void>((resolve) => {
        const breakOff = (): void => {
          log.push(`${id}/${state} broken off`);
          resolve();
        };
        signal.addEventListener('abort', breakOff);
        open.push(() => {
          signal.removeEventListener('abort', breakOff);
          resolve();
        });
      });
      return { looked: 0, proven: 0, unreachable: 0 };
    },
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    rounds: createRounds({ prober, clock, logger }),
    log,
    end: async () => {
      await turn();
      for (const one of open.splice(0)) one();
      await turn();
    },
    tick: (milliseconds) => {
      clock.set(clock.now().getTime() + milliseconds);
    },
  };
}

it('rounds go one after another, each rotation in turn, and not too often', async () => {
  const { rounds, log, end, tick } = session();
  const both = [rotation('kubernetes', 'trusting'), rotation('etcd', 'issuing')];
  rounds.kick(both);
  rounds.kick(both);
  await end();
  await end();
  expect(log).toEqual(['kubernetes/trusting', 'etcd/issuing']);
  rounds.kick(both);
  await end();
  expect(log).toHaveLength(2);
  tick(30_000);
  rounds.kick(both);
  await end();
  await end();
  expect(log).toHaveLength(4);
  rounds.kick(both, { now: true });
  await end();
  // The first of the two is over, the second under way.
  expect(log).toHaveLength(6);
  await rounds.stop();
  rounds.kick(both, { now: true });
  await end();
  expect(log.slice(6)).toEqual(['etcd/issuing broken off']);
});

it('rounds for a state that is left are broken off, and the next begins at once', async () => {
  const { rounds, log, end } = session();
  rounds.kick([rotation('etcd', 'trusting')]);
  await new Promise((resolve) => setImmediate(resolve));
  rounds.kick([rotation('etcd', 'canary')]);
  await end();
  await end();
  expect(log).toEqual(['etcd/trusting', 'etcd/trusting broken off', 'etcd/canary']);
  rounds.kick([rotation('etcd', 'issuing')]);
  await new Promise((resolve) => setImmediate(resolve));
  rounds.kick([]);
  await rounds.stop();
  expect(log.at(-1)).toBe('etcd/issuing broken off');
});

it('a round that fails keeps none from coming', async () => {
  const { rounds, log, end, tick } = session(true);
  const one = [rotation('etcd', 'trusting'), rotation('kubernetes', 'trusting')];
  rounds.kick(one);
  await end();
  tick(-60_000);
  rounds.kick(one);
  await end();
  expect(log).toHaveLength(4);
  await rounds.stop();
});
