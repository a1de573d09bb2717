import { z } from 'zod';

import type { FieldCause } from '../errors.js';
import { leastBurst, type Rate } from '../rotation/renewal/admission.js';
import { type ConfiguredClients, renewalClientOf } from '../rotation/renewal/clients.js';
import { rangeOf } from '../rotation/renewal/planner.js';
import { leastLife, longestOutage, narrowest } from '../rotation/renewal/policy.js';
import type { RenewalClient, RenewalPolicy } from '../rotation/renewal/types.js';
import { durationSchema, formatDuration } from './duration.js';
import type { Config } from './types.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const share = z.number().min(0.01).max(0.99);

/** A duration that must lie between two others. */
function between(least: number, most: number): z.ZodType<number, string> {
  return durationSchema.refine((ms) => ms >= least && ms <= most, {
    error: `must be from ${formatDuration(least)} to ${formatDuration(most)}`,
  });
}

/** `renewal` of the configuration file. */
export const renewalSchema = z.strictObject({
  /** Shares of a certificate's life in which clients that ask for their window are to renew it. */
  window: z
    .strictObject({ from: share, until: share })
    .refine(({ from, until }) => until - from >= narrowest, {
      error: `until must be at least ${String(narrowest)} more than from, or nothing can be spread`,
    })
    .optional(),
  /** How long the service may be away without one certificate expiring. */
  outageTolerance: durationSchema.optional(),
  /** Whether kubelets are given shorter lives where that spreads their renewals; only where they ask for no certain one. */
  steerKubelets: z.boolean().optional(),
  /** The least share of its life that a certificate keeps then. */
  shortest: z.number().min(0.5).max(1).optional(),
  /** How finely renewals are planned. */
  bucket: between(minuteMs, hourMs).optional(),
  /** How long clients are told to keep what they were told about their window. */
  retryAfter: between(minuteMs, dayMs).optional(),
  /** How long after its end a node's certificate still renews itself; not at all when left out. */
  grace: between(minuteMs, 30 * dayMs).optional(),
  /** How many renewals are let through; all when left out. */
  rate: z
    .strictObject({
      perSecond: z.number().min(0.1).max(1_000_000),
      burst: z.number().int().min(1).max(10_000_000).optional(),
    })
    .optional(),
  /** Who renews otherwise than the approval of its profile suggests. */
  clients: z
    .array(
      z.union(
        [
          z.strictObject({ signerName: z.string(), kind: z.enum(['informed', 'kubelet']) }),
          z.strictObject({ signerName: z.string(), kind: z.literal('fixed'), at: share }),
        ],
        { error: 'must have signerName and kind (informed, kubelet, or fixed with at, a share of the life)' },
      ),
    )
    .max(64)
    .optional(),
});

export type RenewalConfig = {
  readonly policy: RenewalPolicy;
  readonly steerKubelets: boolean;
  readonly bucketMs: number;
  readonly retryAfterMs: number;
  /** 0: an expired certificate renews nothing. */
  readonly graceMs: number;
  readonly rate: Rate | undefined;
  readonly clients: ConfiguredClients;
};

/** The section as written, with the defaults for what is left out. */
export function renewalConfig(file: z.infer<typeof renewalSchema> | undefined): RenewalConfig {
  const { rate } = file ?? {};
  return {
    policy: {
      window: file?.window ?? { from: 0.5, until: 0.85 },
      outageMs: file?.outageTolerance ?? 0,
      shortest: file?.shortest ?? 0.77,
    },
    steerKubelets: file?.steerKubelets ?? false,
    bucketMs: file?.bucket ?? 10 * minuteMs,
    retryAfterMs: file?.retryAfter ?? 6 * hourMs,
    graceMs: file?.grace ?? 0,
    rate: rate && { perSecond: rate.perSecond, burst: rate.burst ?? leastBurst(rate.perSecond) },
    clients: (file?.clients ?? []).map((entry) => ({
      signerName: entry.signerName,
      client: entry.kind === 'fixed' ? { kind: 'fixed', at: entry.at } : { kind: entry.kind },
    })),
  };
}

type Profile = Config['profiles'][number];

/** What the section asks for and lifetimes do not allow. Empty when they go together. */
export function renewalContradictions({ renewal, profiles }: Pick<Config, 'renewal' | 'profiles'>): FieldCause[] {
  return [
    ...unknownClients(renewal, profiles),
    ...shortBursts(renewal),
    ...profiles.flatMap((one) => unbearable(renewal, one)),
  ];
}

function unknownClients({ clients }: RenewalConfig, profiles: readonly Profile[]): FieldCause[] {
  return clients
    .filter(({ signerName }) => !profiles.some((profile) => profile.signerName === signerName))
    .map(({ signerName }) => ({
      field: 'renewal.clients',
      reason: 'FieldValueNotSupported' as const,
      message: `${JSON.stringify(signerName)}: no profile has this signer name`,
    }));
}

/** The noise around an even plan needs a store, or some are turned away all the time. */
function shortBursts({ rate }: RenewalConfig): FieldCause[] {
  if (rate === undefined || rate.burst >= leastBurst(rate.perSecond)) return [];
  const least = leastBurst(rate.perSecond);
  const message = `${String(rate.burst)}: must be at least ${String(least)}, a tenth of what ${String(rate.perSecond)} a second give in a minute`;
  return [{ field: 'renewal.rate.burst', reason: 'FieldValueInvalid', message }];
}

function unbearable({ policy, clients, steerKubelets }: RenewalConfig, profile: Profile): FieldCause[] {
  const client = renewalClientOf(profile, clients);
  const { standard } = profile.lifetime;
  const lengthen = `profiles[${profile.signerName}].lifetime.standard`;
  const tolerated = formatDuration(policy.outageMs);
  const lives = formatDuration(standard);
  const longest = longestOutage(client, policy, standard);
  if (policy.outageMs > longest) {
    const least = formatDuration(Math.ceil(leastLife(client, policy) / hourMs) * hourMs);
    const message =
      `${tolerated}: certificates of ${profile.signerName} live ${lives}, and ${habitOf(client, policy)}, ` +
      `so they all outlive an outage of ${formatDuration(longest)} only; make ${lengthen} at least ${least}, or tolerate less`;
    return [{ field: 'renewal.outageTolerance', reason: 'FieldValueInvalid', message }];
  }
  if (client.kind !== 'kubelet' || !steerKubelets) return [];
  if (rangeOf(client, policy, { notBefore: 0, notAfter: standard }) !== undefined) return [];
  const message =
    `true: certificates of ${profile.signerName} live ${lives}, and with renewal.outageTolerance ${tolerated} and ` +
    `renewal.shortest ${String(policy.shortest)} none may live less, which leaves no choice; make ${lengthen} longer, or drop one of these`;
  return [{ field: 'renewal.steerKubelets', reason: 'FieldValueInvalid', message }];
}

function habitOf(client: RenewalClient, { window }: RenewalPolicy): string {
  switch (client.kind) {
    case 'informed':
      return `the earliest window after renewal.window.from ends at ${percent(window.from + narrowest)} of that`;
    case 'kubelet':
      return 'kubelets renew them at 90 % of that at the latest';
    case 'fixed':
      return `they are renewed at ${percent(client.at)} of that`;
  }
}

function percent(of: number): string {
  return `${String(Math.round(of * 1000) / 10)} %`;
}
