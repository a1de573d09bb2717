import { setTimeout as sleep } from 'node:timers/promises';

import type { ExplanationView } from '../../api/rest/rotation-views.js';
import { exitCodes, type Failure, isFailure } from '../failure.js';
import type { Call } from '../verb.js';
import { pathOfRotation } from './pick.js';

const firstPauseMs = 1000;
const longestPauseMs = 15_000;

export type Following = {
  readonly id: string | undefined;
  readonly intervalMs: number;
  /** Called with each look. */
  readonly show: (view: ExplanationView) => void;
  readonly until: (view: ExplanationView) => boolean;
};

/**
 * Looks again and again until it is as wanted. A service that is away for a while is waited for, with the credential and
 * authorities as they are then: a rotation may replace both.
 */
export async function follow(call: Call<object>, { id, intervalMs, show, until }: Following): Promise<ExplanationView> {
  const state: { path: string | undefined; pause: number } = { path: undefined, pause: firstPauseMs };
  for (;;) {
    try {
      return await call.withClient(async (client) => {
        for (;;) {
          state.path ??= await pathOfRotation(client, id);
          const view = await client.json<ExplanationView>('GET', `${state.path}/explanation`);
          // From now on it is this one, whatever is started for its ring later.
          state.path = await pathOfRotation(client, view.rotation.id);
          state.pause = firstPauseMs;
          show(view);
          if (until(view)) return view;
          await sleep(intervalMs);
        }
      });
    } catch (error) {
      if (state.path === undefined || !isPassing(error)) throw error;
      call.io.err(`${error.message}; trying again\n`);
      await sleep(state.pause);
      state.pause = Math.min(longestPauseMs, state.pause * 2);
    }
  }
}

const passing = ['internal', 'unavailable', 'timeout', 'too-many-requests'];

/** Whether it may go by itself. */
function isPassing(error: unknown): error is Failure {
  if (!isFailure(error) || error.exitCode !== exitCodes.remote) return false;
  return error.problem === undefined || passing.includes(error.problem.code ?? '');
}
