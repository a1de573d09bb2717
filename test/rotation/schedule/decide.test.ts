import { describe, expect, it } from 'vitest';

import { decideStart, type StartFacts } from '../../../src/rotation/schedule/decide.js';
import type { VerifierClassFact } from '../../../src/rotation/types.js';

const now = Date.UTC(2027, 0, 1);
const day = 86_400_000;

const declared: VerifierClassFact = {
  ...{
    class: 'kube-apiserver',
    description: 'API servers',
    minimum: 'canary-probe',
    registered: 3,
    attestation: undefined,
  },
  ...{ streams: true, streamsEndedAt: undefined, remedy: 'register them' },
};
const absent = (expiresAt: number): VerifierClassFact => ({
  ...declared,
  class: 'extension-apiserver',
  registered: 0,
  attestation: { id: 'a', statement: 'absent', generation: 0, by: 'ada', expiresAt },
});

const due: StartFacts = {
  now,
  startBy: {
    parts: { stage: 0, trust: 0, issue: 0, leaf: 0, distrust: 0, cool: 0 },
    ...{ margin: day, startBy: now + day, lastChance: now + 2 * day, dueAt: now, reason: 'age' },
  },
  ...{ automatic: true, ringAutomatic: true, classes: [declared, absent(now + 1)] },
  ...{ window: { open: true, next: undefined }, running: undefined, turnedBack: undefined, restarting: undefined },
};

describe('a rotation starts by itself', () => {
  it('when it is due and everything is in order', () => {
    expect(decideStart(due)).toEqual({ start: true, due: true, dueAt: now, reason: 'age', waitsFor: [] });
  });

  it.each<[string, Partial<StartFacts>, string, RegExp]>([
    ['while the switch is off', { automatic: false }, 'switch', /^rotation\.automatic is false: .*renewals go on/],
    ["while the ring's own switch is off", { ringAutomatic: false }, 'switch', /for this ring/],
    ['before its time', { now: now - 1 }, 'time', /not due/],
    ['outside the windows', { window: { open: false, next: now + 5 } }, 'window', /no maintenance window/],
    ['beside another one', { running: 'etcd-4' }, 'running', /etcd-4/],
    ['soon after one was turned back', { turnedBack: { id: 'etcd-3', until: now + 1 } }, 'turned-back', /etcd-3/],
    ['while another ring needs restarts', { restarting: 'kubernetes-2' }, 'restarts', /kubernetes-2.*only one/],
    ['while a class is undeclared', { classes: [{ ...declared, registered: 0 }] }, 'classes', /kube-apiserver/],
    ['once an attestation has expired', { classes: [declared, absent(now)] }, 'classes', /extension-apiserver/],
  ])('not %s', (_what, more, kind, text) => {
    const decision = decideStart({ ...due, ...more });
    expect(decision.start).toBe(false);
    expect(decision.waitsFor.map((one) => one.kind)).toEqual([kind]);
    expect(decision.waitsFor[0]?.text).toMatch(text);
  });

  it('says everything that is in the way, and when what passes by itself is over', () => {
    const { waitsFor } = decideStart({ ...due, now: now - day, automatic: false, window: { open: false, next: now } });
    expect(waitsFor.map(({ kind, until }) => [kind, until])).toEqual([
      ['switch', undefined],
      ['time', now],
      ['window', now],
    ]);
  });
});
