import fc from 'fast-check';

import type { Event, Schedule, Verb, Word } from './words.js';
import type { Plan } from './world.js';

/** How often each happens; what leads a rotation on most often, or none would get anywhere. */
const weights: Readonly<Record<Exclude<Verb, 'lie'>, number>> = {
  ...{ everyone: 26, turn: 10, time: 8, deliver: 6, reload: 5, restart: 5, report: 6, ask: 5, install: 4, use: 4 },
  ...{ advance: 3, resume: 3, watch: 2, streams: 2, handshake: 3, vouch: 2, send: 3, capture: 3, join: 8, snapshot: 3 },
  ...{ restore: 2, away: 2, skew: 2, pause: 1, unquarantine: 2, quarantine: 1, rollback: 3, declare: 1, start: 2 },
};

const word: fc.Arbitrary<Word> = fc.record({
  verb: fc.oneof(
    ...Object.entries(weights).map(([verb, weight]) => ({ arbitrary: fc.constant(verb as Verb), weight })),
  ),
  peer: fc.nat(3),
  way: fc.nat(15),
});

const crash = fc.record({ after: fc.integer({ min: 1, max: 24 }), durable: fc.boolean() });

const event: fc.Arbitrary<Event> = fc.record({
  first: word,
  beside: sometimes(word, 8),
  crash: sometimes(crash, 10),
});

/** One time out of so many. */
function sometimes<T>(arbitrary: fc.Arbitrary<T>, outOf: number): fc.Arbitrary<T | undefined> {
  return fc.oneof({ arbitrary: fc.constant(undefined), weight: outOf - 1 }, { arbitrary, weight: 1 });
}

export function schedules(longest: number): fc.Arbitrary<Schedule> {
  return fc.array(event, { minLength: Math.floor(longest / 3), maxLength: longest, size: 'max' });
}

export const plans: fc.Arbitrary<Plan> = fc.record({
  kind: fc.constantFrom('planned', 'planned', 'planned', 'planned', 'emergency', 'reissue'),
  crossSign: fc.boolean(),
  policy: fc.constantFrom('automatic', 'automatic', 'manual'),
  preference: fc.constantFrom('availability-first', 'security-first'),
  depth: fc.nat(9),
  slow: fc.nat(3),
});
