import { phaseDurations, type PhaseDurations } from '../schedule/measured.js';
import type { Rotation } from '../types.js';
import type { OutlookParts } from './parts.js';

/** As many as say something about the next one. */
const mostEarlier = 20;

export type Earlier = {
  readonly durations: readonly PhaseDurations[];
  /** The last bundle of the rotation before: nobody holds an earlier one and was counted. 1 where there was none. */
  readonly sinceGeneration: number;
};

/** What the rotations of a ring that are over show about the next one of the same kind. */
export async function earlier(parts: OutlookParts, ring: string, kind: Rotation['kind']): Promise<Earlier> {
  const over = (await parts.rotations.list({ ring, limit: mostEarlier })).filter(
    ({ finishedAt }) => finishedAt !== undefined,
  );
  const last = over.find(({ state }) => state !== 'aborted');
  return {
    durations: over.filter((one) => one.kind === kind && one.state === 'finished').map(phaseDurations),
    sinceGeneration: (last && last.marks[last.state]?.generation) ?? 1,
  };
}
