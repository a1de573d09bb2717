import { expect, it } from 'vitest';

import { scenarios } from '../rotation/crash/scenarios.js';
import { crashAt, referenceOf } from '../rotation/crash/sweep.js';
import { describeEachPlace } from '../rotation/schedules/databases.js';

describeEachPlace('a service that dies at every write of', (places) => {
  it.each(scenarios)('$name', { timeout: 1_200_000 }, async (scenario) => {
    const reference = await referenceOf(places, scenario);
    expect(reference.ending).toMatchObject({ undone: [], rotation: { disagreement: undefined } });
    for (let after = 1; after <= reference.writes; after += 1) {
      await crashAt(places, scenario, reference, { after, durable: false });
      await crashAt(places, scenario, reference, { after, durable: true });
    }
  });
});
