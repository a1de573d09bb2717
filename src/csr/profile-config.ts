import { z } from 'zod';

import { knownUsages } from '../ca/x509/usages.js';
import { durationSchema } from '../config/duration.js';
import type { Topology } from '../config/types.js';
import { signerNameCauses } from './signer-name.js';
import type { Profile } from './types.js';

const dayMs = 86_400_000;
const reserved = 'rotunda:';

const signerName = z.string().check((context) => {
  for (const cause of signerNameCauses(context.value)) {
    context.issues.push({
      code: 'custom',
      input: context.value,
      message: cause.message.replace(/^[^:]*: "[^"]*": /, ''),
    });
  }
});
const usage = z
  .string()
  .refine((value) => knownUsages.includes(value), { error: `must be one of ${knownUsages.join(', ')}` });
/** A leaf is no CA, and a certificate for any purpose is one for every purpose. */
const leafUsage = usage.refine((value) => !['cert sign', 'crl sign', 'any'].includes(value), {
  error: 'is never given to a leaf',
});

/** One entry of `profiles` in the configuration file. A built-in profile of the same signer name is replaced. */
export const profileConfigSchema = z
  .strictObject({
    signerName,
    /** A ring's name, or the purpose in `topology` whose ring it is. */
    ring: z.string().min(1),
    description: z.string().max(256).optional(),
    /** Who may have one without a person: the default is nobody. */
    approval: z
      .enum(['node-client', 'node-serving', 'etcd-member', 'etcd-client', 'control-plane', 'person'])
      .optional(),
    organizations: z.array(z.string().min(1).max(64)).max(16).optional(),
    commonName: z
      .union(
        [z.strictObject({ exact: z.string().min(1).max(64) }), z.strictObject({ prefix: z.string().min(1).max(63) })],
        {
          error: 'must have exactly one of exact and prefix',
        },
      )
      .optional(),
    names: z
      .strictObject({
        dns: z.boolean().optional(),
        ip: z.boolean().optional(),
        email: z.boolean().optional(),
        uri: z.boolean().optional(),
        atLeastOne: z.boolean().optional(),
      })
      .optional(),
    usages: z.strictObject({ required: z.array(leafUsage).min(1), optional: z.array(leafUsage).optional() }),
    lifetime: z.strictObject({ standard: durationSchema.optional(), longest: durationSchema.optional() }).optional(),
  })
  .check((context) => {
    for (const [index, organization] of (context.value.organizations ?? []).entries()) {
      if (!organization.toLowerCase().startsWith(reserved)) continue;
      context.issues.push({
        code: 'custom',
        input: organization,
        path: ['organizations', index],
        message: 'organizations rotunda:* make administrators of this service and belong to rotunda.dev/client',
      });
    }
  });

export type ProfileConfig = z.infer<typeof profileConfigSchema>;

/** A profile as configured, with what was left out filled in: 30 days, at most 1 year, no names. */
export function buildProfile(raw: ProfileConfig, topology: Topology): Profile {
  const byPurpose: Readonly<Record<string, string | undefined>> = topology;
  const longest = raw.lifetime?.longest ?? Math.max(365 * dayMs, raw.lifetime?.standard ?? 0);
  const names = raw.names ?? {};
  return {
    signerName: raw.signerName,
    ring: (Object.hasOwn(topology, raw.ring) ? byPurpose[raw.ring] : undefined) ?? raw.ring,
    description: raw.description ?? `Configured profile ${raw.signerName}`,
    approval: raw.approval ?? 'person',
    ...(raw.organizations === undefined ? {} : { organizations: raw.organizations }),
    ...(raw.commonName === undefined ? {} : { commonName: raw.commonName }),
    names: {
      dns: names.dns ?? false,
      ip: names.ip ?? false,
      email: names.email ?? false,
      uri: names.uri ?? false,
      atLeastOne: names.atLeastOne ?? false,
    },
    usages: { required: raw.usages.required, optional: raw.usages.optional ?? [] },
    lifetime: { standard: raw.lifetime?.standard ?? Math.min(30 * dayMs, longest), longest },
  };
}
