import { type Admission, createAdmission, leastBurst, nextWindow, retryWidth } from '../admission.js';
import { type Book, createBook } from '../book.js';
import type { Draw } from '../choice.js';
import { createPlanner, type Planner } from '../planner.js';
import { waveWidth } from '../rules.js';
import { slotIn } from '../slot.js';
import type { RenewalClient } from '../types.js';
import { type Calendar, createCalendar } from './calendar.js';
import { type Counts, outcomeOf } from './outcome.js';
import { seeded } from './random.js';
import { bucketOf, clientOf, endOf, isSteered, policyOf, reachOf } from './scenario.js';
import type { Outcome, Scenario } from './types.js';

const secondMs = 1000;
const minuteMs = 60_000;

type World = {
  readonly scenario: Scenario;
  readonly client: RenewalClient;
  readonly isSteered: boolean;
  readonly bucketMs: number;
  /** What the ends of certificates are counted in, milliseconds. */
  readonly unitMs: number;
  /** When the service is back, milliseconds; 0 without an outage. */
  readonly restoredAt: number;
  readonly draw: Draw;
  readonly book: Book;
  readonly planner: Planner;
  readonly calendar: Calendar;
  readonly admission: Admission | undefined;
  readonly counts: Counts;
  behind: number;
};

/** A certificate is one number: its end in units, times four, and these two. */
const marks = 4;
/** Was to be renewed before now. */
const behindMark = 1;
/** Of the old authority. */
const oldMark = 2;
const largestEnd = 2 ** 28;

/**
 * Lets the certificates of a scenario live, with the code that plans and admits renewals in the service. On one core, bucket
 * by bucket, with some five bytes of memory for each certificate.
 */
export function simulate(scenario: Scenario): Outcome {
  const bucketMs = bucketOf(scenario);
  // One more, for what comes later than that.
  const buckets = Math.ceil(endOf(scenario) / bucketMs) + 1;
  const world = worldOf(scenario, bucketMs, buckets + 1);
  const { counts, book, restoredAt } = world;
  const { outage, rotationAt, certificates } = scenario;
  const births = Math.max(1, Math.ceil(scenario.burstMs / bucketMs));
  const rotates = rotationAt === undefined ? -1 : Math.ceil(rotationAt / bucketMs);
  let born = 0;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const now = bucket * bucketMs;
    book.advance(now);
    const bornBy = bucket + 1 >= births ? certificates : Math.floor((certificates * (bucket + 1)) / births);
    for (; born < bornBy; born += 1) plan(world, now);
    if (bucket === rotates) rotate(world, { bucket, buckets, born });
    if (outage !== undefined && now >= outage.at && now < restoredAt) miss(world, bucket);
    else serve(world, bucket);
    if (now >= restoredAt && world.behind === 0) counts.drainedAt ??= now + bucketMs;
  }
  return outcomeOf(scenario, bucketMs, counts);
}

function worldOf(scenario: Scenario, bucketMs: number, buckets: number): World {
  const { certificates, perSecond, outage, lifeMs, seed } = scenario;
  const draw = seeded(seed);
  const steered = isSteered(scenario);
  const book = createBook({ bucketMs, horizonMs: lifeMs, now: 0, settleEvery: settleEvery(certificates) });
  // Where nothing is seen, the first of four random candidates is as good as the others.
  const seen = steered ? book : { ...book, load: () => 0 };
  return {
    ...{ scenario, client: clientOf(scenario), isSteered: steered, bucketMs, draw, book },
    unitMs: Math.max(secondMs, Math.ceil((buckets * bucketMs + lifeMs) / largestEnd)),
    restoredAt: outage === undefined ? 0 : outage.at + outage.ms,
    planner: createPlanner({ book: seen, policy: policyOf(scenario), draw }),
    calendar: createCalendar(certificates, buckets),
    admission: perSecond === undefined ? undefined : createAdmission({ perSecond, burst: leastBurst(perSecond) }, 0),
    behind: 0,
    counts: {
      ...{ load: new Uint32Array(buckets), expired: 0, late: 0, turnedAway: 0, old: 0 },
      ...{ drainedAt: undefined, oldGoneAt: undefined, waveMs: undefined },
    },
  };
}

/** As stale as in the service, in proportion, and not staler than a few thousand renewals. */
function settleEvery(certificates: number): number {
  return Math.min(4096, Math.max(64, Math.ceil(certificates / 1000)));
}

/** A new certificate, and when it is to be renewed. */
function plan(world: World, now: number): void {
  const { scenario, client, planner, draw, calendar, bucketMs } = world;
  // Somewhere in the bucket.
  const notBefore = now + draw() * bucketMs;
  const planned = planner.plan(client, { notBefore, notAfter: notBefore + scenario.lifeMs }, world.isSteered);
  planner.count(client, planned);
  const at = client.kind === 'fixed' ? planned.from : planned.from + draw() * (planned.until - planned.from);
  const certificate = Math.floor(planned.notAfter / world.unitMs) * marks;
  calendar.put(certificate, Math.max(now / bucketMs + 1, Math.floor(at / bucketMs)));
}

function endOfLife({ unitMs }: World, certificate: number): number {
  return (certificate >> 2) * unitMs;
}

function renew(world: World, certificate: number, now: number): void {
  const { counts, bucketMs, restoredAt } = world;
  const end = endOfLife(world, certificate);
  if (end < now) counts[end < restoredAt ? 'expired' : 'late'] += 1;
  if ((certificate & behindMark) !== 0) world.behind -= 1;
  if ((certificate & oldMark) !== 0) {
    counts.old -= 1;
    if (counts.old === 0) counts.oldGoneAt = now + bucketMs;
  }
  const bucket = now / bucketMs;
  counts.load[bucket] = (counts.load[bucket] ?? 0) + 1;
  plan(world, now);
}

function behindOf(world: World, certificate: number): number {
  if ((certificate & behindMark) === 0) world.behind += 1;
  return certificate | behindMark;
}

/** Nobody answers. Each tries at its own time in the windows of what is left of its life, kubelets within the minute. */
function miss(world: World, bucket: number): void {
  const { calendar, client, restoredAt, draw, bucketMs } = world;
  const back = Math.ceil(restoredAt / bucketMs);
  calendar.take(bucket, (certificate) => {
    const width = client.kind === 'informed' ? retryWidth(endOfLife(world, certificate), restoredAt) : minuteMs;
    calendar.put(behindOf(world, certificate), back + Math.floor((draw() * width) / bucketMs));
  });
}

/** Whoever comes in a bucket is let in by expiry as fast as tokens come; the others are told when to come again. */
function serve(world: World, bucket: number): void {
  const { calendar, admission, counts, bucketMs, draw } = world;
  const now = bucket * bucketMs;
  if (admission === undefined) {
    calendar.take(bucket, (certificate) => {
      renew(world, certificate, now);
    });
    return;
  }
  const { queue } = admission;
  calendar.take(bucket, (certificate) => {
    queue.push(certificate, certificate >> 2);
  });
  for (let time = now; queue.size() > 0 && time < now + bucketMs;) {
    const certificate = admission.next(time);
    if (certificate === undefined) time += Math.max(0.01, admission.wait(time));
    else renew(world, certificate, now);
  }
  for (let certificate = queue.pop(); certificate !== undefined; certificate = queue.pop()) {
    counts.turnedAway += 1;
    const { from, until } = nextWindow(endOfLife(world, certificate), now);
    const at = Math.floor((from + draw() * (until - from)) / bucketMs);
    calendar.put(behindOf(world, certificate), Math.max(bucket + 1, at));
  }
}

type Turn = { readonly bucket: number; readonly buckets: number; readonly born: number };

/** Another authority signs from now on, and whoever asks is told of its place in a wave. */
function rotate(world: World, { bucket, buckets, born }: Turn): void {
  const { scenario, client, counts, calendar, bucketMs, book } = world;
  const { lifeMs, perSecond, pollMs } = scenario;
  const now = bucket * bucketMs;
  counts.old = born;
  const cohort = { reason: 'rotation', count: born, lifeMs, until: reachOf(scenario).until / lifeMs } as const;
  const waits = client.kind !== 'informed' || perSecond === undefined;
  const width = waits ? undefined : waveWidth(cohort, perSecond);
  counts.waveMs = width;
  // By then everybody has looked.
  const wave = { from: now + pollMs, until: now + pollMs + (width ?? 0) };
  if (width !== undefined) book.spread(wave.from, wave.until, born);
  let serial = 0;
  for (let planned = bucket; planned < buckets; planned += 1) {
    calendar.take(planned, (certificate) => {
      serial += 1;
      const slot = width === undefined ? Infinity : slotIn(wave, serial.toString(16), 'rotation') / bucketMs;
      calendar.put(certificate | oldMark, Math.min(planned, Math.floor(slot)));
    });
  }
}
