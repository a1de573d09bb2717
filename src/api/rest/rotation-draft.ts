import { z } from 'zod';

import type { CaKeyType } from '../../ca/types.js';
import { parseDuration } from '../../config/duration.js';
import { ringRotation } from '../../config/rotation.js';
import type { Context } from '../../context.js';
import { type FieldCause, invalid } from '../../errors.js';
import type { StartRequest } from '../../rotation/start.js';
import { defined, nameText, text } from './schemas.js';

const kinds = ['planned', 'emergency', 'reissue', 'keys'] as const;
const keyTypes: readonly CaKeyType[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096', 'ed25519'];
const longestDeadlineMs = 365 * 86_400_000;

export const rotationDraftSchema = z
  .strictObject({
    ring: nameText,
    kind: z.enum(kinds).optional().meta({
      description:
        '`planned` when left out, `keys` for a ring of signing keys. `reissue`: another certificate of the same key',
    }),
    policy: z.enum(['automatic', 'manual']).optional().meta({ description: "The ring's own when left out" }),
    crossSign: z.boolean().optional().meta({
      description:
        "Whether the old authority vouches for the new one; the ring's own when left out, never in an emergency",
    }),
    keyType: text(32).optional().meta({ description: "Of the new authority; the ring's own when left out" }),
    publicKey: z.string().min(1).max(16_384).optional().meta({
      description: 'Of the signing key that comes next, PEM; for rings of signing keys, and for them alone',
    }),
    deadline: text(64).optional().meta({
      description: 'Of an emergency: when stragglers are cut off, RFC 3339, or a duration from now such as `4h`',
    }),
    preference: z.enum(['availability-first', 'security-first']).optional().meta({
      description:
        'Of an emergency: whether to wait for trust before anything is issued anew; availability first when left out',
    }),
    compromised: nameText.optional().meta({
      description:
        "Of an emergency: the key that may be somebody else's too, its subject key identifier. Left out, the one that signs; while a rotation runs in which both have signed it has to be said",
    }),
    reason: text(1024).optional().meta({ description: 'For the record; an emergency needs one' }),
    confirm: nameText.optional().meta({ description: 'Of an emergency that is meant: the name of the ring once more' }),
    dryRun: z.boolean().optional().meta({ description: 'Answers what it would do, and does nothing' }),
  })
  .meta({ id: 'RotationDraft', description: 'A rotation to start' });

type Draft = z.output<typeof rotationDraftSchema>;

/** What is asked for, with what the configuration says of the ring. Throws RotundaError 'invalid'. */
export async function startRequestOf(
  context: Pick<Context, 'config' | 'clock' | 'keySets'>,
  draft: Draft,
): Promise<StartRequest> {
  const { ring, policy, crossSign, publicKey, reason = '', compromised } = draft;
  const now = context.clock.now().getTime();
  const settings = ringRotation(context.config.rotation, ring);
  const kind = draft.kind ?? (await usualKind(context, draft));
  const deadline = draft.deadline === undefined ? undefined : readDeadline(draft.deadline, now);
  const causes = [
    ...misplaced(draft, kind),
    ...(kind === 'emergency' ? await keySetCauses(context, ring) : []),
    ...(deadline === undefined ? [] : deadlineCauses(deadline, now)),
    ...(draft.keyType === undefined ? [] : keyTypeCauses(draft.keyType)),
  ];
  if (causes.length > 0) throw invalid(causes);
  const emergency =
    kind === 'emergency'
      ? { deadline: deadline ?? now + settings.emergencyDeadline, preference: draft.preference ?? 'availability-first' }
      : {};
  return {
    ...{ ring, kind, reason, compromised, policy: policy ?? (kind === 'emergency' ? 'automatic' : settings.policy) },
    crossSign: kind === 'planned' && (crossSign ?? settings.crossSign),
    options: defined({ keyType: draft.keyType as CaKeyType | undefined, publicKey, ...emergency }),
  };
}

/** An emergency is not begun by a slip of the hand. Throws 'invalid' with what has to be said. */
export function requireConfirmation({ ring, confirm, reason }: Draft, { kind, options }: StartRequest): void {
  if (kind !== 'emergency') return;
  const causes: FieldCause[] = [];
  const until = new Date(options.deadline ?? 0).toISOString().slice(0, 19);
  if (confirm !== ring)
    causes.push({
      field: 'confirm',
      reason: confirm === undefined ? 'FieldValueRequired' : 'FieldValueInvalid',
      message: `must be the name of the ring once more, ${JSON.stringify(ring)}: an emergency freezes it at once, and cuts off at ${until}Z whoever has not followed`,
      hint: 'dryRun shows who that would be',
    });
  if (reason === undefined)
    causes.push({
      field: 'reason',
      reason: 'FieldValueRequired',
      message: 'an emergency is not declared without saying why',
    });
  if (causes.length > 0) throw invalid(causes);
}

async function usualKind(
  { keySets }: Pick<Context, 'keySets'>,
  { ring, publicKey }: Draft,
): Promise<StartRequest['kind']> {
  if (publicKey !== undefined) return 'keys';
  return (await keySets.list()).some((set) => set.ring === ring) ? 'keys' : 'planned';
}

/** Signing keys have no certificates that could be cut off. */
async function keySetCauses({ keySets }: Pick<Context, 'keySets'>, ring: string): Promise<FieldCause[]> {
  if (!(await keySets.list()).some((set) => set.ring === ring)) return [];
  const message = 'is not for a ring of signing keys: its tokens are good until the key is out of the set';
  const hint = `rotunda rotation start ${ring} --public-key FILE, with a short rotation.longestToken of the ring`;
  return [{ field: 'kind', reason: 'FieldValueNotSupported', message, hint }];
}

type Only = {
  readonly field:
    'deadline' | 'preference' | 'confirm' | 'compromised' | 'publicKey' | 'crossSign' | 'keyType' | 'policy';
  readonly kinds: readonly StartRequest['kind'][];
  readonly message: string;
};

const only: readonly Only[] = [
  { field: 'deadline', kinds: ['emergency'], message: 'belongs to an emergency' },
  { field: 'preference', kinds: ['emergency'], message: 'belongs to an emergency' },
  { field: 'confirm', kinds: ['emergency'], message: 'belongs to an emergency' },
  { field: 'compromised', kinds: ['emergency'], message: 'belongs to an emergency' },
  {
    field: 'policy',
    kinds: ['planned', 'reissue', 'keys'],
    message: 'belongs to what may wait: a deadline passes by itself',
  },
  { field: 'publicKey', kinds: ['keys'], message: 'belongs to a ring of signing keys' },
  {
    field: 'crossSign',
    kinds: ['planned'],
    message: 'belongs to a planned rotation: nothing else has one authority vouch for another',
  },
  { field: 'keyType', kinds: ['planned', 'emergency'], message: 'belongs to a new authority' },
];

function misplaced(draft: Draft, kind: StartRequest['kind']): FieldCause[] {
  return only
    .filter(({ field, kinds: fitting }) => (draft[field] ?? false) !== false && !fitting.includes(kind))
    .map(({ field, message }) => ({
      field,
      reason: 'FieldValueForbidden',
      message: `${message}, and this is ${kind}`,
    }));
}

/** Milliseconds; NaN for what is neither a time nor a duration. */
function readDeadline(given: string, now: number): number {
  const duration = parseDuration(given);
  if (duration !== undefined) return now + duration;
  return z.iso.datetime({ offset: true }).safeParse(given).success ? Date.parse(given) : Number.NaN;
}

function deadlineCauses(deadline: number, now: number): FieldCause[] {
  const cause = (message: string): FieldCause[] => [{ field: 'deadline', reason: 'FieldValueInvalid', message }];
  if (Number.isNaN(deadline)) return cause('must be a time in RFC 3339, or a duration such as 4h');
  if (deadline <= now) return cause('must be in the future');
  return deadline > now + longestDeadlineMs ? cause('must be within a year') : [];
}

function keyTypeCauses(keyType: string): FieldCause[] {
  if (keyTypes.some((known) => known === keyType)) return [];
  const field = 'keyType';
  if (/^(ml|slh)-?dsa/i.test(keyType)) {
    const { node, openssl } = process.versions;
    return [
      {
        field,
        reason: 'FieldValueNotSupported',
        message: `${keyType} cannot be made here: it takes a runtime with OpenSSL 3.5 or newer, and a release that signs with it; this is Node.js ${node} with OpenSSL ${openssl}. The trust gate would stay shut besides, until every verifier of the ring has said that it verifies ${keyType}`,
        hint: `such a key type is one of ${keyTypes.join(', ')} until then; rotunda consumer register NAME --algorithm ${keyType} says what a verifier can do`,
      },
    ];
  }
  return [{ field, reason: 'FieldValueNotSupported', message: `must be one of ${keyTypes.join(', ')}` }];
}
