import { describe, expect, it } from 'vitest';

import { configFrom } from '../../src/config/load.js';
import { policyFrom } from '../../src/config/policy.js';
import { ringRotation, type RotationConfig } from '../../src/config/rotation.js';
import { RotundaError } from '../../src/errors.js';

const version = { apiVersion: 'rotunda.dev/v1alpha1' };
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

function rotationOf(rotation: unknown, more: object = {}): RotationConfig {
  return configFrom({ ...version, ...more, ...(rotation === undefined ? {} : { rotation }) }, {}).rotation;
}

function refusal(rotation: unknown, more: object = {}): string {
  try {
    rotationOf(rotation, more);
  } catch (error) {
    if (error instanceof RotundaError) return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

/** Leaves of a day at most under a short-lived CA. */
function shortLived(lifetime: string): object {
  const leaf = { standard: '12h', longest: '1d' };
  return {
    rings: [
      { name: 'short', lifetime },
      { name: 'etcd', lifetime: '10y' },
    ],
    profiles: [
      { signerName: 'example.org/short', ring: 'short', usages: { required: ['client auth'] }, lifetime: leaf },
    ],
  };
}

describe('rotation', () => {
  it('needs nothing', () => {
    const config = rotationOf(undefined);
    expect(config.automatic).toBe(true);
    expect(config.rings.map(({ name }) => name).sort()).toEqual(['etcd', 'front-proxy', 'kubernetes', 'rotunda']);
    expect(ringRotation(config, 'etcd')).toEqual({
      name: 'etcd',
      ...{ automatic: true, policy: 'automatic', plannedAge: year, windows: [], longestWait: 0, crossSign: true },
      emergencyDeadline: day,
      timing: {
        ...{ trustSoak: 6 * minute, canarySoak: 5 * minute, drainSoak: day, cooling: 7 * day },
        ...{ longestSkew: 4 * minute, longestToken: year, destroyKeys: 'operator' },
      },
    });
  });

  it('is frozen, to the last window', () => {
    const config = rotationOf({ windows: [{ cron: '0 22 * * 6', duration: '4h' }] });
    const { windows, timing } = ringRotation(config, 'etcd');
    expect([config, config.rings, config.standard, windows, windows[0], timing].every(Object.isFrozen)).toBe(true);
  });

  it('takes what is set for all rings, and over that what is set for one', () => {
    const config = rotationOf({
      ...{ policy: 'manual', trustSoak: '10m', destroyKeys: 'automatic', emergency: { deadline: '12h' } },
      windows: [{ cron: '0 22 * * 6', duration: '4h', timezone: 'Europe/Berlin' }],
      rings: [{ name: 'etcd', policy: 'automatic', cooling: '30d', windows: [], crossSign: false, plannedAge: '2y' }],
    });
    const [etcd, kubernetes] = [ringRotation(config, 'etcd'), ringRotation(config, 'kubernetes')];
    expect(etcd).toMatchObject({
      policy: 'automatic',
      windows: [],
      crossSign: false,
      plannedAge: 2 * year,
      emergencyDeadline: 12 * hour,
    });
    expect(etcd.timing).toMatchObject({ trustSoak: 10 * minute, cooling: 30 * day, destroyKeys: 'automatic' });
    // A Saturday in winter is an hour further from the one before it in summer.
    const longestWait = 7 * day + hour;
    expect(kubernetes).toMatchObject({ policy: 'manual', crossSign: true, plannedAge: year, longestWait });
    expect(kubernetes.windows).toEqual([{ cron: '0 22 * * 6', durationMs: 4 * hour, timezone: 'Europe/Berlin' }]);
    expect(ringRotation(config, 'from-before')).toMatchObject({ policy: 'manual' });
  });

  it('has one switch for all rings, which a ring cannot turn on again', () => {
    const off = rotationOf({ automatic: false, rings: [{ name: 'etcd', automatic: true }] });
    expect(off.automatic).toBe(false);
    expect(off.rings.some(({ automatic }) => automatic)).toBe(false);
    const one = rotationOf({ rings: [{ name: 'etcd', automatic: false }] });
    expect(one.automatic).toBe(true);
    expect(ringRotation(one, 'etcd').automatic).toBe(false);
    expect(ringRotation(one, 'kubernetes').automatic).toBe(true);
  });

  it('plans a shorter age by itself for an authority that does not live long', () => {
    const config = rotationOf(undefined, shortLived('30d'));
    const { plannedAge } = ringRotation(config, 'short');
    // Two rotations of a day's leaf, a day's soak, a week's cooling and eleven minutes fit behind it.
    expect(plannedAge).toBe(30 * day - 2 * (9 * day + 11 * minute));
  });

  it.each([
    ['an unknown field', { soak: '1h' }, /^rotation: unknown field soak/],
    ['a soak of nothing', { drainSoak: '0s' }, /^rotation\.drainSoak: "0s": must be a positive duration/],
    [
      'a window of no length',
      { windows: [{ cron: '0 1 * * *', duration: '0m' }] },
      /^rotation\.windows\[0\]\.duration: "0m": must be a positive/,
    ],
    ['a window without an end', { windows: [{ cron: '0 1 * * *' }] }, /^rotation\.windows\[0\]\.duration: not set/],
    [
      'a window that never opens',
      { windows: [{ cron: '0 0 30 2 *', duration: '1h' }] },
      /^rotation\.windows\[0\]\.cron: "0 0 30 2 \*": .*never open/,
    ],
    [
      'no cron expression',
      { windows: [{ cron: 'at night', duration: '1h' }] },
      /^rotation\.windows\[0\]\.cron: "at night": must be a cron expression of five fields/,
    ],
    [
      'an unknown time zone',
      { windows: [{ cron: '0 1 * * *', duration: '1h', timezone: 'Berlin' }] },
      /time zone "Berlin" is not known/,
    ],
    [
      'a window of a ring that never opens',
      { rings: [{ name: 'etcd', windows: [{ cron: '0 0 31 4 *', duration: '1h' }] }] },
      /^rotation\.rings\[0\]\.windows\[0\]\.cron: /,
    ],
    [
      'a ring twice',
      { rings: [{ name: 'etcd' }, { name: 'etcd' }] },
      /^rotation\.rings\[1\]\.name: "etcd": is there twice/,
    ],
    ['an unknown policy', { policy: 'hope' }, /^rotation\.policy: "hope": /],
    [
      'an unknown ring',
      { rings: [{ name: 'etdc' }] },
      /^rotation\.rings\[etdc\]: "etdc": there is no such ring; rings are .*etcd/,
    ],
    [
      'a clock that is further off than leaves are backdated',
      { longestSkew: '5m' },
      /^rotation\.longestSkew: 5m: must be less than 5m, by which leaves are backdated/,
    ],
    [
      'the same for one ring',
      { rings: [{ name: 'etcd', longestSkew: '6m' }] },
      /^rotation\.rings\[etcd\]\.longestSkew: 6m: /,
    ],
    [
      'an age at which the authority ends before it is replaced twice',
      { plannedAge: '8y' },
      /rotation\.plannedAge: 8y: the ring \w+ lives 10y .*replaceable twice.*at most/,
    ],
    [
      'a cooling time beyond the life of the authority',
      { automatic: false, cooling: '6y' },
      /rotation\.cooling: 6y: .*there is no age at which that fits/,
    ],
  ])('refuses %s and names field, value and rule', (_what, rotation, message) => {
    expect(refusal(rotation)).toMatch(message);
  });

  it('says one wrong value for all rings once', () => {
    expect(refusal({ longestSkew: '10m' }).match(/longestSkew/g)).toHaveLength(1);
  });

  it('says what does not fit into the life of an authority, and what to change', () => {
    const message = refusal(undefined, shortLived('6d'));
    expect(message).toContain('rotation.plannedAge: 1d: the ring short lives 6d');
    expect(message).toContain('the longest leaf 1d, drainSoak 1d, cooling 7d');
    expect(message).toContain('shorten one of these or lengthen rings[short].lifetime');
    const ring = { name: 'short', cooling: '6h', drainSoak: '1h' };
    expect(ringRotation(rotationOf({ rings: [ring] }, shortLived('6d')), 'short').plannedAge).toBeGreaterThan(day);
  });

  it('counts the wait for a window', () => {
    const yearly = { windows: [{ cron: '0 0 1 1 *', duration: '1d' }], plannedAge: '7y' };
    expect(refusal(yearly)).toMatch(/its windows may be 366d apart|its windows may be 1y apart/);
    expect(ringRotation(rotationOf({ ...yearly, plannedAge: '6y' }), 'etcd').plannedAge).toBe(6 * year);
  });

  it('is looked at where a policy is tried, because lifetimes are checked against it', () => {
    const tried = { ...version, ...shortLived('6d') };
    expect(() => policyFrom(tried)).toThrow(/the ring short lives 6d/);
    const rotation = { rings: [{ name: 'short', cooling: '6h', drainSoak: '1h' }] };
    expect(policyFrom({ ...tried, rotation }).profiles.length).toBeGreaterThan(0);
  });
});
