import { expect, it } from 'vitest';

import { describeEachPlace } from '../schedules/databases.js';
import { scenarios } from './scenarios.js';
import { crashAt, referenceOf } from './sweep.js';

/** Writes of each scenario that are tried here; `test/slow` tries all of them. */
const tried = Number(process.env['ROTUNDA_CRASH_POINTS'] ?? 2);

describeEachPlace('a service that dies in the middle of', (places) => {
  it.each(scenarios)('$name', { timeout: 120_000 }, async (scenario) => {
    const reference = await referenceOf(places, scenario);
    expect(reference.ending).toMatchObject({ undone: [], rotation: { disagreement: undefined } });
    for (let point = 0; point < tried; point += 1) {
      const { commits } = reference;
      const after = commits[Math.floor(((point + Math.random()) * commits.length) / tried)] ?? 1;
      await crashAt(places, scenario, reference, { after, durable: point % 2 === 0 });
    }
  });
});
