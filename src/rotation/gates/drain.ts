import type { AuthorityUse, Blocker, Facts, LeafSample } from '../types.js';
import { blockedBy, type Check, iso, passed } from './gate.js';

/**
 * Nothing that can still be presented was issued by an authority: by the ledger, whatever anybody reported. `use` is the
 * authority's, `key` names it for what probes have seen presented.
 */
export function drainChecks(facts: Facts, use: AuthorityUse, key: string): Check[] {
  return [...leafChecks(use, key), ...inFlightChecks(use), ...presentedChecks(facts, key)];
}

function leafChecks(use: AuthorityUse, key: string): Check[] {
  if (use.live === 0) return [passed()];
  const shown = use.samples.map(leafBlocker);
  const rest = use.live - use.samples.length;
  if (rest <= 0) return [blockedBy(...shown)];
  const many = `${use.liveIsExact ? '' : 'at least '}${String(rest)}`;
  const more: Blocker = {
    subject: 'certificates',
    kind: 'certificate',
    requirement: `${many} more certificates have to be replaced, or expire`,
    lastEvidence: use.latestNotAfter === undefined ? '' : `the last one ends ${iso(use.latestNotAfter)}`,
    since: undefined,
    remedies: [`rotunda cert list --authority ${key} --in-use shows them; they renew in their windows`],
  };
  return [blockedBy(...shown, more)];
}

function leafBlocker({ serial, profile, commonName, notAfter, replaced }: LeafSample): Blocker {
  return {
    subject: serial,
    kind: 'certificate',
    requirement: `the certificate of ${commonName} (${profile}) has to be replaced and its successor seen in use, or expire`,
    lastEvidence: replaced
      ? `a successor was issued and not seen in use; it ends ${iso(notAfter)}`
      : `not replaced yet; it ends ${iso(notAfter)}`,
    since: undefined,
    remedies: [
      'renew it, and restart what only reads it then',
      `rotunda cert supersede ${serial} --reason TEXT, where you know that nothing presents it any more`,
      `rotunda cert revoke ${serial}, where nothing needs it`,
    ],
  };
}

function inFlightChecks({ inFlight }: AuthorityUse): Check[] {
  if (inFlight === 0) return [passed()];
  return [
    blockedBy({
      subject: 'certificates',
      kind: 'certificate',
      requirement: `${String(inFlight)} certificates that are being signed have to be stored or given up`,
      lastEvidence: 'the ledger holds their serials as intended',
      since: undefined,
      remedies: ['wait: what a crash left is given up within ten minutes'],
    }),
  ];
}

/** An endpoint that was seen to present the old one, whatever the ledger says. */
function presentedChecks({ probes }: Facts, key: string): Check[] {
  return probes
    .filter((probe) => probe.kind === 'presents' && probe.key === key && probe.outcome === 'yes')
    .map(({ consumer, endpoint, at }) =>
      blockedBy({
        subject: consumer,
        kind: 'probe',
        requirement: `${endpoint} has to present a certificate of the other authority`,
        lastEvidence: `it presented one of ${key} at ${iso(at)}`,
        since: at,
        remedies: ['renew its serving certificate; restart it where it only reads that then'],
      }),
    );
}
