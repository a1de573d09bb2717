import { afterEach, describe, expect, it } from 'vitest';

import { intend, leafOrder } from '../../ca/support.js';
import { dayMs, minuteMs, type Rig, startRig } from '../support.js';

const ring = 'front-proxy';
const hourMs = 60 * minuteMs;
let rig: Rig;

afterEach(() => rig.close());

async function issue(): Promise<string> {
  const { ca, store, clock } = rig.context;
  const now = clock.now().getTime();
  const names = { profile: 'kubeadm.rotunda.dev/front-proxy-client', node: 'cp-1' } as const;
  const prepared = ca.issuing.prepare(leafOrder({ ring, ...names, notAfter: now + 30 * dayMs }, now));
  await intend(store, ca, prepared);
  const issued = await ca.issuing.sign(prepared);
  await store.write((tx) => ca.issuing.record(tx, issued));
  return prepared.serial;
}

describe('while the authority of a ring is replaced', () => {
  it('its holders ask again soon', async () => {
    rig = await startRig();
    const serial = await issue();
    const { renewals } = rig.context;
    expect((await renewals.info(serial)).retryAfterMs).toBe(6 * hourMs);
    await rig.attestAbsent(ring);
    await rig.start({ ring });
    expect((await renewals.info(serial)).retryAfterMs).toBe(5 * minuteMs);
  });

  it('a wave is over when it has to be, however much that is at once', async () => {
    rig = await startRig();
    await issue();
    const { renewals, clock, ca } = rig.context;
    const now = clock.now().getTime();
    const authority = ca.ring(ring).active.ski;
    const wave = { ring, authority, reason: 'compromise' } as const;
    const until = now + 10 * minuteMs;
    expect(await renewals.ask({ ...wave, widthMs: dayMs, until }, 'admin')).toMatchObject({ width: 10 * minuteMs });
    const late = await renewals.ask({ ...wave, widthMs: dayMs, until: now - dayMs }, 'admin');
    expect(late).toMatchObject({ notBefore: now, width: minuteMs });
  });
});
