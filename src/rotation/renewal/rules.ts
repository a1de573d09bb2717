import { slotIn } from './slot.js';
import type { RenewalRule, RenewalSubject, Window } from './types.js';

/** Whether a rule is about this certificate: one of its cohort that there was when the rule was made. */
export function isMeant(rule: RenewalRule, certificate: Omit<RenewalSubject, 'serial'>): boolean {
  const { ring, authority, profile, createdAt } = rule;
  return (
    ring === certificate.ring &&
    (authority === undefined || authority === certificate.authority) &&
    (profile === undefined || profile === certificate.profile) &&
    certificate.issuedAt <= createdAt
  );
}

/** A window and the rule that it comes from, where one does. */
export type PlannedWindow = Window & { readonly rule: RenewalRule | undefined };

/**
 * When a certificate is to be renewed as things are: its own window, or its slot by a rule. A rotation and a compromise
 * bring it forward only. A change of capacity may also put it off, to `latest` at most. The earliest rule counts. A
 * certificate's own place by a rule is a window of `slotMs`, in which its holder has nothing to draw.
 */
export function plannedWindow(
  own: Window,
  certificate: RenewalSubject,
  rules: readonly RenewalRule[],
  { latest, slotMs }: { readonly latest: number; readonly slotMs: number },
): PlannedWindow {
  let planned: PlannedWindow = { ...own, rule: undefined };
  let putOff: PlannedWindow | undefined;
  for (const rule of rules) {
    if (!isMeant(rule, certificate)) continue;
    const until = rule.notBefore + rule.width;
    const from = slotIn({ from: rule.notBefore, until }, certificate.serial, rule.id);
    const slot = { from, until: Math.max(from + 1000, Math.min(from + slotMs, latest)), rule };
    if (from < planned.from) planned = slot;
    else if (rule.reason === 'capacity' && planned.rule === undefined && from + slotMs <= latest)
      putOff = earlier(putOff, slot);
  }
  return planned.rule === undefined && putOff !== undefined ? putOff : planned;
}

function earlier(one: PlannedWindow | undefined, other: PlannedWindow): PlannedWindow {
  return one === undefined || other.from < one.from ? other : one;
}

/** A cohort that is to renew apart from its plan. */
export type Cohort = {
  readonly reason: RenewalRule['reason'];
  /** Certificates that are meant. */
  readonly count: number;
  /** Their life, milliseconds. */
  readonly lifeMs: number;
  /** The end of the window in which they renew anyway, as a share of their life. */
  readonly until: number;
};

/** Half of what can be issued is for a wave, the rest for what renews anyway. */
const waveShare = 0.5;
export const leastWidthMs = 60_000;

/**
 * Over how long a cohort is spread so that it takes half of what can be issued, milliseconds: W >= N / (0.5 mu). Undefined
 * where it would take as long as all of them renew by themselves, so that nothing need be done. A compromise is never left
 * to that.
 */
export function waveWidth({ reason, count, lifeMs, until }: Cohort, perSecond: number): number | undefined {
  const width = Math.max(leastWidthMs, Math.ceil((count / (waveShare * perSecond)) * 1000));
  return reason !== 'compromise' && width >= until * lifeMs ? undefined : width;
}
