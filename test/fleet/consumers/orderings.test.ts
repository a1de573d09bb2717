import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Heartbeat } from '../../../src/fleet/consumers/report-types.js';
import { hourMs, start } from '../../identity/rooms.js';
import { describeEachStore } from '../../support/stores.js';
import { nodeIdentity, startConsumers } from './support.js';

type Said = { readonly loaded: number | undefined; readonly delivered: number | undefined; readonly clean: boolean };
type Spoken = {
  readonly process: number;
  readonly second: number;
  readonly rings: Readonly<Record<'kubernetes' | 'front', Said | undefined>>;
};

const said: fc.Arbitrary<Said> = fc.record({
  loaded: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  delivered: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  clean: fc.boolean(),
});
const spoken: fc.Arbitrary<Spoken> = fc.record({
  process: fc.integer({ min: 0, max: 3 }),
  second: fc.integer({ min: 0, max: 600 }),
  rings: fc.record({ kubernetes: fc.option(said, { nil: undefined }), front: fc.option(said, { nil: undefined }) }),
});

/** Processes begin ten minutes apart, and each says something within its ten minutes. */
const beganAt = (process: number): number => start + process * 600_000;
const saidAt = ({ process, second }: Spoken): number => beganAt(process) + second * 1000;
/** Written before a process began, or while it ran: then it has not read it at its start. */
const writtenAt = ({ process, second }: Spoken): number => beganAt(process) + (second % 2 === 0 ? -1 : 1);

/** Arrives in any order, some of it more than once. */
const arriving = fc
  .uniqueArray(spoken, {
    minLength: 1,
    maxLength: 7,
    selector: ({ process, second }) => `${String(process)}/${String(second)}`,
  })
  .chain((reports) =>
    fc.record({
      reports: fc.constant(reports),
      order: fc
        .tuple(
          fc.shuffledSubarray(reports, { minLength: reports.length, maxLength: reports.length }),
          fc.array(fc.constantFrom(...reports), { maxLength: 4 }),
        )
        .map(([once, again]) => [...once, ...again]),
    }),
  );

describeEachStore('reports in any order', (open) => {
  test('leave what the newest process said last', async () => {
    const store = await open();
    const { consumers, claim, publish, clock } = await startConsumers(store);
    const ringOf = { kubernetes: 'kubernetes', front: 'front-proxy' } as const;
    for (const ring of Object.values(ringOf)) for (let at = 0; at < 2; at += 1) await publish(ring);
    const digests = new Map<string, string>();
    for (const ring of Object.values(ringOf))
      for (const generation of [1, 2, 3])
        digests.set(`${ring}/${String(generation)}`, (await claim(ring, generation)).digest);
    const claimed = (ring: string, generation: number) => ({
      generation,
      digest: digests.get(`${ring}/${String(generation)}`) ?? '',
    });
    const beat = (one: Spoken): Heartbeat => ({
      process: { id: `p${String(3 - one.process)}`, startedAt: beganAt(one.process) },
      reportedAt: saidAt(one),
      rings: (['kubernetes', 'front'] as const).flatMap((key) => {
        const words = one.rings[key];
        const ring = ringOf[key];
        if (words === undefined) return [];
        const { loaded, delivered, clean } = words;
        return [
          {
            ...{ ring, clean },
            ...(loaded !== undefined && { loaded: claimed(ring, loaded) }),
            ...(delivered !== undefined && { delivered: { ...claimed(ring, delivered), at: writtenAt(one) } }),
          },
        ];
      }),
    });
    clock.set(start + 2 * hourMs);
    const node = nodeIdentity('w');
    let run = 0;
    await fc.assert(
      fc.asyncProperty(arriving, async ({ reports, order }) => {
        run += 1;
        const name = `extension-apiserver/x${String(run)}`;
        await consumers.register({ name, node: 'w' }, { ...node, roles: ['operator'] });
        for (const one of order) await consumers.heartbeat(name, beat(one), node);
        const { process, rings } = await consumers.get(name);
        const newest = Math.max(...reports.map((one) => one.process));
        expect(process?.id).toBe(`p${String(3 - newest)}`);
        for (const key of ['kubernetes', 'front'] as const) {
          const last = reports
            .filter((one) => one.process === newest && one.rings[key]?.loaded !== undefined)
            .sort((a, b) => saidAt(a) - saidAt(b))
            .at(-1);
          const found = rings.find(({ ring }) => ring === ringOf[key]);
          expect(found).toMatchObject(last === undefined ? nothing : expectedOf(last, key));
        }
      }),
      { numRuns: store.engine === 'sqlite' ? 150 : 25 },
    );
  }, 120_000);
});

const nothing = { loaded: 0, evidence: undefined, clean: false };

/** The last word of the newest process about what it has loaded, whatever else was said. */
function expectedOf(last: Spoken, key: 'kubernetes' | 'front'): Record<string, unknown> {
  const { loaded, delivered, clean } = last.rings[key] ?? { loaded: 0, delivered: undefined, clean: false };
  const restart = delivered === loaded && writtenAt(last) < beganAt(last.process);
  return { loaded, evidence: restart ? 'restart' : 'self-report', clean, counts: true };
}
