import { z } from 'zod';

import type { RingConfig } from '../ca/types.js';
import type { Profile } from '../csr/types.js';
import { configuredDuration } from '../rotation/schedule/start-by.js';
import { longestGap, type WindowConfig, windowProblem } from '../rotation/schedule/windows.js';
import type { Timing } from '../rotation/types.js';
import { durationSchema } from './duration.js';
import { ringName, uniqueBy } from './names.js';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const yearMs = 365 * dayMs;

const windowSchema = z
  .strictObject({ cron: z.string(), duration: durationSchema, timezone: z.string().min(1).default('UTC') })
  .check(({ value, issues }) => {
    const problem = windowProblem(value);
    if (problem !== undefined) issues.push({ code: 'custom', input: value.cron, path: ['cron'], message: problem });
  });

const settings = {
  automatic: z.boolean().optional(),
  policy: z.enum(['automatic', 'manual']).optional(),
  plannedAge: durationSchema.optional(),
  windows: z.array(windowSchema).max(32).optional(),
  crossSign: z.boolean().optional(),
  trustSoak: durationSchema.optional(),
  canarySoak: durationSchema.optional(),
  drainSoak: durationSchema.optional(),
  cooling: durationSchema.optional(),
  longestSkew: durationSchema.optional(),
  longestToken: durationSchema.optional(),
  destroyKeys: z.enum(['operator', 'automatic']).optional(),
  emergency: z.strictObject({ deadline: durationSchema.optional() }).optional(),
};

/** `rotation` of the configuration file. */
export const rotationSchema = z.strictObject({
  ...settings,
  rings: uniqueBy('name', z.strictObject({ name: ringName, ...settings })).optional(),
});

export type RotationFile = z.infer<typeof rotationSchema>;
type SettingsFile = Omit<RotationFile, 'rings'>;

/** How the authorities of one ring are replaced. Durations are milliseconds. */
export type RingRotation = {
  /** A rotation starts by itself when it is due. False too where it is off for all rings. */
  readonly automatic: boolean;
  /** Whether states are left as soon as their gate passes, or when an operator says so. */
  readonly policy: 'automatic' | 'manual';
  /** Of an authority, at which it is replaced. */
  readonly plannedAge: number;
  /** When changes begin; none: at any time. */
  readonly windows: readonly WindowConfig[];
  /** From one window to the next, at the longest; 0 without windows. */
  readonly longestWait: number;
  readonly crossSign: boolean;
  /** After an emergency was declared, when stragglers are cut off. */
  readonly emergencyDeadline: number;
  readonly timing: Timing;
};

export type RotationConfig = {
  /** False: nothing starts by itself on any ring, and renewals go on. */
  readonly automatic: boolean;
  /** Of rings that the file does not know. */
  readonly standard: RingRotation;
  /** Of every ring that the file knows. */
  readonly rings: readonly (RingRotation & { readonly name: string })[];
};

export const defaultTiming: Timing = {
  trustSoak: 6 * minuteMs,
  canarySoak: 5 * minuteMs,
  drainSoak: dayMs,
  cooling: 7 * dayMs,
  longestSkew: 4 * minuteMs,
  longestToken: yearMs,
  destroyKeys: 'operator',
};

/** The section as written, for each ring, with the defaults for what is left out. */
export function rotationConfig(
  file: RotationFile | undefined,
  rings: readonly RingConfig[],
  profiles: readonly Profile[],
): RotationConfig {
  const { rings: overrides = [], ...common } = file ?? {};
  const standard = settingsFrom(common);
  return {
    automatic: standard.automatic,
    standard,
    rings: rings.map((ring) => {
      const own = overrides.find(({ name }) => name === ring.name);
      const settings = own === undefined ? standard : settingsFrom(merged(common, own));
      const fitting = Math.min(yearMs, plannedAgeAtMost(ring, settings, longestLeafOf(ring.name, profiles)));
      return {
        ...settings,
        name: ring.name,
        automatic: standard.automatic && settings.automatic,
        plannedAge: own?.plannedAge ?? common.plannedAge ?? Math.max(dayMs, fitting),
      };
    }),
  };
}

/** How a ring's authorities are replaced; what holds for all where the configuration does not know the ring. */
export function ringRotation(config: RotationConfig, ring: string): RingRotation {
  return config.rings.find(({ name }) => name === ring) ?? config.standard;
}

/** The longest that a profile of the ring gives, milliseconds; 0 where it has none. */
export function longestLeafOf(ring: string, profiles: readonly Profile[]): number {
  return Math.max(0, ...profiles.filter((profile) => profile.ring === ring).map(({ lifetime }) => lifetime.longest));
}

/** The greatest age at which an authority can still be replaced twice before it ends, milliseconds; below 0 there is none. */
export function plannedAgeAtMost(
  ring: RingConfig,
  { timing, longestWait }: Pick<RingRotation, 'timing' | 'longestWait'>,
  longestLeaf: number,
): number {
  return ring.lifetimeMs - longestWait - 2 * configuredDuration(timing, longestLeaf);
}

function settingsFrom(file: SettingsFile): RingRotation {
  const windows = (file.windows ?? []).map(({ cron, duration, timezone }) => ({
    cron,
    timezone,
    durationMs: duration,
  }));
  return {
    automatic: file.automatic ?? true,
    policy: file.policy ?? 'automatic',
    plannedAge: file.plannedAge ?? yearMs,
    windows,
    longestWait: longestGap(windows),
    crossSign: file.crossSign ?? true,
    emergencyDeadline: file.emergency?.deadline ?? dayMs,
    timing: timingFrom(file),
  };
}

/** What holds for all rings, with what one ring has of its own. */
function merged(common: SettingsFile, own: SettingsFile): SettingsFile {
  return { ...common, ...defined(own), emergency: { ...common.emergency, ...defined(own.emergency ?? {}) } };
}

function timingFrom(file: SettingsFile): Timing {
  const given = Object.keys(defaultTiming).flatMap((key) => {
    const value = file[key as keyof Timing];
    return value === undefined ? [] : [[key, value] as const];
  });
  return { ...defaultTiming, ...(Object.fromEntries(given) as Partial<Timing>) };
}

function defined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}
