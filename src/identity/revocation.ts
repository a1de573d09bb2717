import type { Audit } from '../audit/types.js';
import type { Clock } from '../clock.js';
import { RotundaError } from '../errors.js';
import type { Store } from '../store/types.js';
import { banSerial } from './ban-certificates.js';
import type { Bans, Revocation } from './types.js';

/** CRLReason names of RFC 5280, 5.3.1, without removeFromCRL, which is not a reason to revoke. */
const reasons: readonly string[] = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'privilegeWithdrawn',
  'aACompromise',
];

/** Revoking one certificate by serial. The ban counts from the commit on, on open connections too. */
export function createRevocation(options: { store: Store; bans: Bans; clock: Clock; audit: Audit }): Revocation {
  const { store, bans, clock, audit } = options;
  return {
    /** `serial` is hex, any case, colons allowed. Throws 'not-found', and 'invalid' for an unknown reason. */
    revoke: async (serial, { reason = 'unspecified', actor }) => {
      if (!reasons.includes(reason)) {
        throw new RotundaError(
          'invalid',
          `reason: Unsupported value: ${JSON.stringify(reason)}: supported values: ${reasons.join(', ')}`,
          {
            causes: [
              {
                field: 'reason',
                reason: 'FieldValueNotSupported',
                message: `Unsupported value: ${JSON.stringify(reason)}`,
              },
            ],
          },
        );
      }
      const wanted = serial.replaceAll(':', '').toLowerCase();
      const now = clock.now().getTime();
      await store.write(async (tx) => {
        const found = await tx.db
          .selectFrom('certificates')
          .select(['serial', 'ring', 'subject', 'revoked_at'])
          .where('serial', '=', wanted)
          .executeTakeFirst();
        if (found === undefined) {
          const object = { resource: 'certificates', name: serial };
          throw new RotundaError('not-found', `there is no certificate ${JSON.stringify(serial)}`, { object });
        }
        if (found.revoked_at !== null) return;
        await banSerial(tx, bans, found, { reason, actor: actor.username, now });
        await audit.record(tx, {
          action: 'certificate.revoked',
          actor: actor.username,
          resource: 'certificates',
          name: found.serial,
          outcome: 'ok',
          detail: { ring: found.ring, subject: found.subject, reason },
          at: now,
        });
      });
    },
  };
}
