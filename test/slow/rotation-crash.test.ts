import { expect, it } from 'vitest';

import { scenarios } from '../rotation/crash/scenarios.js';
import { crashAt, referenceOf } from '../rotation/crash/sweep.js';
import { describeEachPlace } from '../rotation/schedules/databases.js';

describeEachPlace('a service that dies at every write of', (places) => {
  // Just before and just after each is durable; one of the two at every other one where a database of its own costs more.
  const all = places.engine === 'sqlite';
  it.each(scenarios)('$name', { timeout: 1_200_000 }, async (scenario) => {
    const reference = await referenceOf(places, scenario);
    expect(reference.ending).toMatchObject({ undone: [], rotation: { disagreement: undefined } });
    expect(reference.commits.length).toBeGreaterThan(10);
    for (const [index, after] of reference.commits.entries()) {
      const whether = all ? [false, true] : index % 2 === 1 ? [] : [index % 4 === 0];
      for (const durable of whether) await crashAt(places, scenario, reference, { after, durable });
    }
  });
});
