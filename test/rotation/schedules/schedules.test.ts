import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { plans, schedules } from './arbitraries.js';
import { type Beginning, prepareBeginning } from './beginning.js';
import { describeEachPlace } from './databases.js';
import { etcd, kubelets } from './flavours.js';
import { play } from './run.js';
import { readSchedule, saySchedule } from './words.js';

/** Few here, many in `test/slow`. */
const runs = Number(process.env['ROTUNDA_SCHEDULES'] ?? 8);

describeEachPlace('machines and a service, whatever happens', (places) => {
  describe.each([kubelets, etcd])('$name', (flavour) => {
    let beginning: Beginning;
    beforeAll(async () => {
      beginning = await prepareBeginning(places, flavour);
    });

    it('keep every invariant, and the rotation ends', { timeout: 120_000 }, async () => {
      const property = fc.asyncProperty(plans, schedules(20), async (plan, schedule) => {
        await play({ places, beginning, flavour }, plan, schedule).catch((error: unknown) => {
          throw new Error(`${JSON.stringify(plan)}\n${saySchedule(schedule)}`, { cause: error });
        });
      });
      await fc.assert(property, { numRuns: runs, endOnFailure: process.env['CI'] !== undefined });
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
