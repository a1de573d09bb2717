import { longestLeafOf, ringRotation } from '../../config/rotation.js';
import { startBy, type StartBy } from '../schedule/start-by.js';
import { earlier } from './history.js';
import type { OutlookParts } from './parts.js';

/** When the authority of a ring has to be replaced. Throws RotundaError 'not-found'. */
export async function startByOf(parts: OutlookParts, name: string): Promise<StartBy> {
  const { config, ca } = parts;
  const { active } = ca.ring(name);
  const own = active.certificates.filter(({ kind }) => kind !== 'cross-signed').map(({ facts }) => facts);
  const newest = own.reduce<{ notBefore: number; notAfter: number }>(
    (best, one) => (one.notAfter > best.notAfter ? one : best),
    { notBefore: 0, notAfter: 0 },
  );
  const { plannedAge, timing, longestWait } = ringRotation(config.rotation, name);
  return startBy({
    authority: { notBefore: newest.notBefore, notAfter: newest.notAfter },
    ...{ plannedAge, timing, longestWait, longestLeaf: longestLeafOf(name, config.profiles) },
    history: (await earlier(parts, name, 'planned')).durations,
  });
}
