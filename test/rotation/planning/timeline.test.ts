import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { planRotation } from '../../../src/rotation/planning/plan.js';
import { timeline, type TimelineEntry } from '../../../src/rotation/planning/timeline.js';
import type { Plan, PlanStep } from '../../../src/rotation/planning/types.js';
import { inputOf, now, verifier } from './inputs.js';

const plan = (ring: string, of: Parameters<typeof inputOf>[3] = {}): Plan => {
  const found = planRotation(
    inputOf(ring, [verifier('kube-apiserver/cp-1', 3)], { started: of.state !== undefined }, of),
  );
  if (found === undefined) throw new Error('there is no plan');
  return found;
};

const restarting = (entries: readonly TimelineEntry[]): TimelineEntry[] => entries.filter((one) => one.needsRestarts);

function overlapping(entries: readonly TimelineEntry[]): TimelineEntry[] {
  return entries.filter((one) =>
    entries.some((other) => other.ring !== one.ring && one.from < other.until && other.from < one.until),
  );
}

describe('several plans beside each other', () => {
  it('need restarts one after the other', () => {
    const entries = timeline([plan('kubernetes'), plan('etcd'), plan('front-proxy')]);
    expect(restarting(entries).length).toBeGreaterThan(4);
    expect(overlapping(restarting(entries))).toEqual([]);
    const [first, second] = restarting(entries).filter(({ state }) => state === 'trusting');
    expect([first?.ring, first?.delayed, second?.ring, second?.delayed]).toEqual(['kubernetes', false, 'etcd', true]);
    expect(second?.from).toBe(first?.until);
  });

  it('begin with the one that is under way', () => {
    const entries = timeline([plan('kubernetes'), plan('etcd', { state: 'trusting', newKey: 'bbbb' })]);
    const trusting = entries.filter(({ state }) => state === 'trusting');
    expect(trusting.map(({ ring, delayed }) => [ring, delayed])).toEqual([
      ['etcd', false],
      ['kubernetes', true],
    ]);
  });

  it('let an emergency begin at once', () => {
    const options = { deadline: now + 1000, preference: 'security-first' } as const;
    const entries = timeline([plan('kubernetes'), plan('etcd', { kind: 'emergency', crossSigned: false, options })]);
    expect(entries.filter(({ ring }) => ring === 'etcd').some(({ delayed }) => delayed)).toBe(false);
  });

  it('whatever they are, lay no two restarts over each other, and keep each plan in its order', () => {
    const step = fc.record({ usual: fc.integer({ min: 0, max: 1000 }), needsRestarts: fc.boolean() });
    const plans = fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 5 });
    fc.assert(
      fc.property(plans, (drawn) => {
        const entries = timeline(drawn.map((steps, index) => made(`ring-${String(index)}`, steps)));
        expect(entries).toHaveLength(drawn.flat().length);
        const lasting = restarting(entries).filter(({ from, until }) => until > from);
        expect(overlapping(lasting)).toEqual([]);
        for (const index of drawn.keys()) {
          const own = entries
            .filter(({ ring }) => ring === `ring-${String(index)}`)
            .sort((a, b) => a.from - b.from || a.until - b.until);
          for (const [position, entry] of own.slice(1).entries())
            expect(entry.from).toBeGreaterThanOrEqual(own[position]?.until ?? 0);
        }
      }),
    );
  });
});

function made(ring: string, drawn: readonly { usual: number; needsRestarts: boolean }[]): Plan {
  const pattern = plan('etcd');
  const [first] = pattern.steps;
  if (first === undefined) throw new Error('a plan has a step');
  const steps: PlanStep[] = drawn.map(({ usual, needsRestarts }) => ({
    ...first,
    ...{ present: false, needsRestarts, duration: { ...first.duration, usual } },
  }));
  return { ...pattern, ring, steps };
}
