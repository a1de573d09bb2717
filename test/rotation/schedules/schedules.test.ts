import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { plans, schedules } from './arbitraries.js';
import { type Beginning, prepareBeginning } from './beginning.js';
import { describeEachPlace } from './databases.js';
import { etcd, kubelets } from './flavours.js';
import { play } from './run.js';
import { readSchedule, saySchedule } from './words.js';

/** How many schedules. Few, where everything else is tested beside. */
const runs = Number(process.env['ROTUNDA_SCHEDULES'] ?? 8);
/** A failure is told as it was found: looking for a shorter one takes longer than a test may. */
const endOnFailure = process.env['ROTUNDA_SHRINK'] === undefined;
const timeout = Math.max(120_000, runs * 15_000);

describeEachPlace('machines and a service, whatever happens', (places) => {
  describe.each([kubelets, etcd])('$name', (flavour) => {
    let beginning: Beginning;
    beforeAll(async () => {
      beginning = await prepareBeginning(places, flavour);
    });

    it('keep every invariant, and the rotation ends', { timeout: endOnFailure ? timeout : 3_600_000 }, async () => {
      const property = fc.asyncProperty(plans, schedules(20), async (plan, schedule) => {
        await play({ places, beginning, flavour }, plan, schedule).catch((error: unknown) => {
          throw new Error(`${JSON.stringify(plan)}\n${saySchedule(schedule)}`, { cause: error });
        });
      });
      await fc.assert(property, { numRuns: runs, endOnFailure });
    });
  });
});

describe('the text of a schedule', () => {
  it('is read as what was written', () => {
    fc.assert(
      fc.property(schedules(12), (schedule) => {
        expect(saySchedule(readSchedule(saySchedule(schedule)))).toBe(saySchedule(schedule));
      }),
    );
  });
});
