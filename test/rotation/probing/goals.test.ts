import { expect, it } from 'vitest';

import { createCredentials } from '../../../src/rotation/probing/credentials.js';
import { candidateIn, goalsOf, retiredIn } from '../../../src/rotation/probing/goals.js';
import type { Rotation, RotationKind, RotationState } from '../../../src/rotation/types.js';
import { RotundaError } from '../../../src/errors.js';
import { servedIn } from '../../../src/service/served-authorities.js';
import { random, testClock } from '../../ca/support.js';

const rotationIn = (state: RotationState, kind: RotationKind = 'planned', marks: Rotation['marks'] = {}): Rotation => ({
  ...{ id: 'r1', ring: 'etcd', kind, state, version: 1, epoch: 2, paused: false, back: false, policy: 'manual' },
  ...{ crossSigned: true, oldKey: 'old', newKey: 'new', advanced: undefined, disagreement: undefined, marks },
  ...{ options: {}, startedBy: 'test', reason: '', startedAt: 0, stateSince: 0, finishedAt: undefined },
});

const mark = (generation: number): { at: number; generation: number } => ({ at: 0, generation });
const marks = { trusting: mark(2), distrusting: mark(3), retrusting: mark(4) };

it('each state has the authority whose trust is to be shown, and what shows it', () => {
  const introduced = { authority: 'new', generation: 2 };
  for (const state of ['trusting', 'canary', 'issuing', 'drained'] as const) {
    expect(candidateIn(rotationIn(state, 'planned', marks)), state).toEqual(introduced);
    expect(goalsOf(rotationIn(state, 'planned', marks))).toEqual([{ generation: 2, accepts: ['new'], refuses: [] }]);
    expect(servedIn(rotationIn(state, 'planned', marks))).toEqual([{ role: 'candidate', ring: 'etcd', ...introduced }]);
  }
  const distrusting = rotationIn('distrusting', 'planned', marks);
  expect(goalsOf(distrusting).at(-1)).toEqual({ generation: 3, accepts: ['new'], refuses: ['old'] });
  expect(retiredIn(distrusting)).toEqual({ authority: 'old', generation: 3 });
  expect(servedIn(distrusting).map(({ role, authority }) => `${role} ${authority}`)).toEqual([
    'candidate new',
    'retired old',
  ]);
  const retrusting = rotationIn('retrusting', 'planned', marks);
  expect(candidateIn(retrusting)).toEqual({ authority: 'old', generation: 4 });
  expect(goalsOf(retrusting)).toEqual([{ generation: 4, accepts: ['old', 'new'], refuses: [] }]);
  for (const state of [
    'staged',
    'cooling',
    'untrusting',
    'returning',
    'finished',
    'rolled-back',
    'aborted',
    'declared',
  ] as const)
    expect(servedIn(rotationIn(state, 'planned', marks)), state).toEqual([]);
});

it("an emergency never asks for the old authority, whose key may be somebody else's", () => {
  for (const state of ['spreading', 'reissuing', 'cut', 'recovering'] as const) {
    const rotation = rotationIn(state, 'emergency', { spreading: mark(5), cut: mark(6) });
    // That the old one is gone no canary can show: its key must not sign even that.
    const shown = state === 'cut' || state === 'recovering' ? [] : [{ generation: 5, accepts: ['new'], refuses: [] }];
    expect(goalsOf(rotation), state).toEqual(shown);
    expect(retiredIn(rotation)).toBeUndefined();
  }
  // Security first: nothing was spread before it was used.
  expect(candidateIn(rotationIn('reissuing', 'emergency', { reissuing: mark(5) }))?.generation).toBe(5);
});

it('the same key, or none, shows nothing', () => {
  for (const kind of ['reissue', 'keys'] as const) expect(servedIn(rotationIn('trusting', kind, marks))).toEqual([]);
  expect(goalsOf({ ...rotationIn('trusting', 'planned', marks), newKey: 'old' })).toEqual([]);
  expect(goalsOf(rotationIn('trusting'))).toEqual([]);
});

it('canaries are made once, replaced at half their life, and tried again where there was none', async () => {
  const clock = testClock();
  const made: string[] = [];
  let broken: Error | undefined;
  const credentials = createCredentials({
    clock,
    random,
    canary: ({ ring, authority, kind, names, lifetimeMs }) => {
      if (broken !== undefined) return Promise.reject(broken);
      made.push(`${ring} ${authority} ${kind} ${names.length}`);
      return Promise.resolve({ certificatePem: '', keyPem: '', serial: '', fingerprint: '', notAfter: lifetimeMs });
    },
  });
  await Promise.all([credentials.of('etcd', 'a'), credentials.of('etcd', 'a'), credentials.of('etcd', 'b')]);
  expect(made).toEqual(['etcd a client 0', 'etcd b client 0']);
  const start = clock.now().getTime();
  for (const [hours, count] of [
    [11.9, 2],
    [12, 3],
    [11, 4],
  ] as const) {
    clock.set(start + hours * 3_600_000);
    await credentials.of('etcd', 'a');
    expect(made, `${hours} hours`).toHaveLength(count);
  }
  broken = new RotundaError('unavailable', 'sealed');
  expect(await credentials.of('etcd', 'c')).toBeUndefined();
  broken = new Error('the database is gone');
  await expect(credentials.of('etcd', 'c')).rejects.toThrow('the database is gone');
  broken = undefined;
  expect(await credentials.of('etcd', 'c')).toBeDefined();
  const [one, two] = [await credentials.control(), await credentials.control()];
  expect(one).toBe(two);
  expect(one.certificatePem).toContain('BEGIN CERTIFICATE');
});
