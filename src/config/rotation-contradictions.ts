import { backdateMs } from '../csr/lifetime.js';
import type { FieldCause } from '../errors.js';
import { configuredDuration } from '../rotation/schedule/start-by.js';
import { formatDuration } from './duration.js';
import { longestLeafOf, plannedAgeAtMost, type RingRotation, type RotationFile } from './rotation.js';
import type { Config } from './types.js';

/** What single fields of `rotation` cannot show. `file` is the section as written, to name the field that says it. */
export function rotationContradictions(config: Config, file: RotationFile | undefined): FieldCause[] {
  return [
    ...unknownRings(config, file),
    ...config.rotation.rings.flatMap((settings) => [...ages(config, settings, file), ...skews(settings, file)]),
  ].filter(isFirst);
}

type Named = RingRotation & { readonly name: string };

function unknownRings({ rings }: Config, file: RotationFile | undefined): FieldCause[] {
  const names = rings.map((ring) => ring.name);
  return (file?.rings ?? [])
    .filter(({ name }) => !names.includes(name))
    .map(({ name }) => ({
      field: `rotation.rings[${name}]`,
      reason: 'FieldValueNotSupported' as const,
      message: `${JSON.stringify(name)}: there is no such ring; rings are ${names.join(', ')}`,
    }));
}

/** An authority that cannot be replaced twice before it ends leaves no room for a rotation that fails. */
function ages({ rings, profiles }: Config, settings: Named, file: RotationFile | undefined): FieldCause[] {
  const ring = rings.find(({ name }) => name === settings.name);
  if (ring === undefined) return [];
  const longestLeaf = longestLeafOf(ring.name, profiles);
  const atMost = plannedAgeAtMost(ring, settings, longestLeaf);
  const age = settings.automatic ? settings.plannedAge : 0;
  if (age <= atMost) return [];
  const { timing, longestWait } = settings;
  const duration = formatDuration(configuredDuration(timing, longestLeaf));
  const parts =
    `trustSoak ${formatDuration(timing.trustSoak)}, canarySoak ${formatDuration(timing.canarySoak)}, the longest leaf ` +
    `${formatDuration(longestLeaf)}, drainSoak ${formatDuration(timing.drainSoak)}, cooling ${formatDuration(timing.cooling)}`;
  const wait = longestWait === 0 ? '' : `, and its windows may be ${formatDuration(longestWait)} apart`;
  const room =
    atMost > 0 ? `the planned age may be ${formatDuration(atMost)} at most` : 'there is no age at which that fits';
  return [
    {
      field: settings.automatic ? fieldOf('plannedAge', ring.name, file) : fieldOf('cooling', ring.name, file),
      reason: 'FieldValueInvalid',
      message:
        `${formatDuration(settings.automatic ? age : timing.cooling)}: the ring ${ring.name} lives ${formatDuration(ring.lifetimeMs)} and has to be replaceable twice before it ends; ` +
        `a rotation takes ${duration} (${parts})${wait}: ${room}; shorten one of these or lengthen rings[${ring.name}].lifetime`,
    },
  ];
}

/** A clock that is further behind than a certificate is backdated finds a new one not valid yet. */
function skews({ name, timing }: Named, file: RotationFile | undefined): FieldCause[] {
  if (timing.longestSkew < backdateMs) return [];
  return [
    {
      field: fieldOf('longestSkew', name, file),
      reason: 'FieldValueInvalid',
      message:
        `${formatDuration(timing.longestSkew)}: must be less than ${formatDuration(backdateMs)}, by which leaves are backdated: ` +
        'a clock that is further behind finds a new one not valid yet; set the clocks right rather than this higher',
    },
  ];
}

/** Where the value comes from: the ring's own settings, or those of all. */
function fieldOf(key: 'plannedAge' | 'cooling' | 'longestSkew', ring: string, file: RotationFile | undefined): string {
  const own = file?.rings?.find(({ name }) => name === ring)?.[key] !== undefined;
  return own ? `rotation.rings[${ring}].${key}` : `rotation.${key}`;
}

/** One value for all rings is wrong once. */
function isFirst(cause: FieldCause, index: number, causes: readonly FieldCause[]): boolean {
  return causes.findIndex(({ field, message }) => field === cause.field && message === cause.message) === index;
}
