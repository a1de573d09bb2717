import { longestLeafOf, ringRotation } from '../../config/rotation.js';
import { sampleLiveLeaves } from '../../store/queries/authority-use.js';
import { startBy, type StartBy } from '../schedule/start-by.js';
import { earlier } from './history.js';
import type { OutlookParts } from './parts.js';

/** The longest that a leaf may still last: by profile, or one that was issued when profiles gave more. Milliseconds. */
async function longestLeaf({ store, clock, ca, config }: OutlookParts, ring: string): Promise<number> {
  const now = clock.now().getTime();
  const [last] = await sampleLiveLeaves(store.db, ca.ring(ring).active.ski, now, 1);
  return Math.max(longestLeafOf(ring, config.profiles), (last?.not_after ?? now) - now);
}

/** When the authority of a ring has to be replaced. Throws RotundaError 'not-found'. */
export async function startByOf(parts: OutlookParts, name: string): Promise<StartBy> {
  const { config, ca } = parts;
  const { active } = ca.ring(name);
  // What nobody has been given yet, or was withdrawn, lengthens nothing.
  const published = ca.bundle(name).anchors.filter(({ subjectKeyId }) => subjectKeyId === active.ski);
  const newest = published.reduce<{ notBefore: number; notAfter: number }>(
    (best, one) => (one.notAfter > best.notAfter ? one : best),
    { notBefore: 0, notAfter: 0 },
  );
  const { plannedAge, timing, longestWait } = ringRotation(config.rotation, name);
  return startBy({
    authority: { notBefore: newest.notBefore, notAfter: newest.notAfter },
    ...{ plannedAge, timing, longestWait, longestLeaf: await longestLeaf(parts, name) },
    history: (await earlier(parts, name, 'planned')).durations,
  });
}
