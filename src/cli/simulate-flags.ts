import { parseDuration } from '../config/duration.js';
import { endOf, bucketOf } from '../rotation/renewal/simulation/scenario.js';
import { type Scenario, simulationPolicies, type SimulationPolicy } from '../rotation/renewal/simulation/types.js';
import { localFailure } from './failure.js';

type Flag =
  | ('certificates' | 'policy' | 'lifetime' | 'window' | 'tolerance' | 'shortest' | 'fixedAt' | 'burst')
  | ('outage' | 'outageAt' | 'rotationAt' | 'rate' | 'turns' | 'bucket' | 'seed');
export type SimulateFlags = Readonly<Partial<Record<Flag, string>>>;

const hourMs = 3_600_000;
const mostCertificates = 20_000_000;
const mostScenarios = 50;
const mostBuckets = 5_000_000;
/** Lives of upstream's shortest certificates to those of a CA. */
const lives = { least: 600_000, most: 10 * 365 * 24 * hourMs } as const;

/** The scenarios that flags mean: every policy with every number of certificates. Throws local failures that name the flag. */
export function scenariosOf(flags: SimulateFlags): Scenario[] {
  const base = baseOf(flags);
  const scenarios = policiesOf(flags.policy ?? 'steered').flatMap((policy) =>
    countsOf(flags.certificates ?? '1e5').map((certificates) => ({ ...base, policy, certificates })),
  );
  if (scenarios.length > mostScenarios)
    throw localFailure(
      `that would be ${String(scenarios.length)} simulations, and ${String(mostScenarios)} are the most`,
    );
  for (const scenario of scenarios) {
    if (endOf(scenario) / bucketOf(scenario) <= mostBuckets) continue;
    throw localFailure('there would be too much time in too small pieces', {
      hints: ['choose a larger --bucket, or fewer --turns'],
    });
  }
  return scenarios;
}

function baseOf(flags: SimulateFlags): Omit<Scenario, 'policy' | 'certificates'> {
  const lifeMs = duration('--lifetime', flags.lifetime) ?? 24 * hourMs;
  if (lifeMs < lives.least || lifeMs > lives.most) throw localFailure('--lifetime must be from 10m to 10y');
  return {
    lifeMs,
    window: windowOf(flags.window ?? '50-85'),
    fixedAt: share('--fixed-at', flags.fixedAt) ?? 2 / 3,
    shortest: share('--shortest', flags.shortest) ?? 0.77,
    toleratedMs: duration('--tolerance', flags.tolerance) ?? 0,
    burstMs: duration('--burst', flags.burst) ?? 600_000,
    outage: outageOf(flags, lifeMs),
    rotationAt: duration('--rotation-at', flags.rotationAt),
    // Nobody should hear of a rotation when its certificate is over.
    pollMs: Math.min(6 * hourMs, lifeMs / 4),
    perSecond: number('--rate', flags.rate, { least: 0.001, most: 1e7 }),
    turns: whole('--turns', flags.turns, { least: 1, most: 100 }) ?? 3,
    bucketMs: duration('--bucket', flags.bucket),
    seed: whole('--seed', flags.seed, { least: 0, most: 2 ** 32 - 1 }) ?? 1,
  };
}

function outageOf({ outage, outageAt }: SimulateFlags, lifeMs: number): Scenario['outage'] {
  const ms = duration('--outage', outage);
  const at = duration('--outage-at', outageAt);
  if (ms !== undefined) return { at: at ?? 3 * lifeMs, ms };
  if (at !== undefined) throw localFailure('--outage-at says when, and --outage is missing');
  return undefined;
}

function policiesOf(text: string): SimulationPolicy[] {
  return text.split(',').map((name) => {
    if (Object.hasOwn(simulationPolicies, name)) return name as SimulationPolicy;
    const hints = Object.entries(simulationPolicies).map(([known, meaning]) => `${known}: ${meaning}`);
    throw localFailure(`--policy ${JSON.stringify(name)} is not known`, { hints });
  });
}

/** `1e3`, `1e3,2e4`, `1e3..1e7`. */
function countsOf(text: string): number[] {
  const [from = '', until, ...rest] = text.split('..');
  if (until === undefined) return text.split(',').map(countOf);
  const [first, last] = [countOf(from), countOf(until)];
  if (rest.length > 0 || last < first) throw localFailure(`--certificates ${JSON.stringify(text)} is not a range`);
  const counts: number[] = [];
  for (let count = first; count <= last; count *= 10) counts.push(count);
  return counts;
}

function countOf(text: string): number {
  return whole('--certificates', text, { least: 1, most: mostCertificates }) ?? 1;
}

/** `50-85` per cent, or `0.5-0.85`. */
function windowOf(text: string): Scenario['window'] {
  const [from = NaN, until = NaN, ...rest] = text.split('-').map(Number);
  const scale = until > 1 ? 100 : 1;
  const window = { from: from / scale, until: until / scale };
  if (rest.length === 0 && window.from >= 0 && window.until <= 1 && window.until - window.from >= 0.01) return window;
  throw localFailure(`--window ${JSON.stringify(text)} is not FROM-UNTIL in per cent`, { hints: ['such as 50-85'] });
}

function duration(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0) return ms;
  throw localFailure(`${flag} ${JSON.stringify(text)} is not a duration`, { hints: ['such as 90m, 8h or 30d'] });
}

type Bounds = { readonly least: number; readonly most: number };

function number(flag: string, text: string | undefined, { least, most }: Bounds): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?(e\d{1,2})?$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw localFailure(`${flag} ${JSON.stringify(text)} is not a number from ${String(least)} to ${String(most)}`);
}

function whole(flag: string, text: string | undefined, bounds: Bounds): number | undefined {
  const value = number(flag, text, bounds);
  if (value === undefined || Number.isInteger(value)) return value;
  throw localFailure(`${flag} ${JSON.stringify(text)} is not a whole number`);
}

function share(flag: string, text: string | undefined): number | undefined {
  return number(flag, text, { least: 0.01, most: 1 });
}
