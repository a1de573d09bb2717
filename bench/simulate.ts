import { simulate } from '../src/rotation/renewal/simulation/simulate.js';
import type { Scenario } from '../src/rotation/renewal/simulation/types.js';
import type { Row } from './report.js';

const hourMs = 3_600_000;

const burst: Omit<Scenario, 'certificates'> = {
  policy: 'steered',
  lifeMs: 24 * hourMs,
  window: { from: 0.5, until: 0.85 },
  fixedAt: 2 / 3,
  shortest: 0.77,
  toleratedMs: 0,
  burstMs: 600_000,
  outage: undefined,
  rotationAt: undefined,
  pollMs: 6 * hourMs,
  perSecond: undefined,
  turns: 3,
  bucketMs: undefined,
  seed: 1,
};

/** How level the renewals of certificates are that were all issued within ten minutes, and what it takes to find out. */
export function benchSimulation(most: number): Row[] {
  const rows: Row[] = [];
  for (let certificates = 1000; certificates <= most; certificates *= 10) {
    const before = process.cpuUsage();
    const started = performance.now();
    const { turns } = simulate({ ...burst, certificates });
    const seconds = (performance.now() - started) / 1000;
    const used = process.cpuUsage(before);
    const ratio = turns[0]?.ratio ?? NaN;
    rows.push({
      what: `${String(certificates)}: fullest minute over mean`,
      value: ratio,
      unit: '',
      aim: 'at most 1.1',
    });
    if (certificates < most) continue;
    const what = `${String(certificates)}, three turns`;
    rows.push({ what: `${what}: time`, value: seconds, unit: 's', aim: 'under 60' });
    rows.push({ what: `${what}: CPU`, value: (used.user + used.system) / 1e6, unit: 's' });
  }
  return rows;
}
