import { beforeAll, expect, it } from 'vitest';

import { type Beginning, planned, prepareBeginning } from './beginning.js';
import { describeEachPlace } from './databases.js';
import { etcd, type Flavour, kubelets } from './flavours.js';
import { knownSchedules } from './known.js';
import { play, type Stage } from './run.js';
import { readSchedule } from './words.js';

/** All on SQLite; on PostgreSQL, where each takes longer, one out of so many. */
const oneOutOf = 4;

describeEachPlace('a rotation survives', (places) => {
  const beginnings = new Map<string, Beginning>();
  beforeAll(async () => {
    for (const flavour of [kubelets, etcd]) beginnings.set(flavour.name, await prepareBeginning(places, flavour));
  });
  const stageOf = (flavour: Flavour): Stage => {
    const beginning = beginnings.get(flavour.name);
    if (beginning === undefined) throw new Error(`nothing was prepared for ${flavour.name}`);
    return { places, beginning, flavour };
  };
  const tried = knownSchedules.filter((_, index) => places.engine === 'sqlite' || index % oneOutOf === 1);

  it.each(tried)('$name', { timeout: 60_000 }, async ({ flavour, plan, schedule, ends }) => {
    const states = await play(stageOf(flavour === 'etcd' ? etcd : kubelets), plan, readSchedule(schedule));
    expect(states.at(-1)).toBe(ends);
  });

  it(
    'and who looks at it sees a machine that claims to trust what only lies in its file',
    { timeout: 60_000 },
    async () => {
      const lie = readSchedule('everyone(0,15); deliver(0,0); lie(0,0); everyone(0,6); everyone(0,6); everyone(0,6)');
      const played = play(stageOf(kubelets), { ...planned, crossSign: false }, lie);
      await expect(played).rejects.toThrow(/I[12] is violated: kubelet\/n0/);
    },
  );
});
