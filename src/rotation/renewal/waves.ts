import type { Ca } from '../../ca/types.js';
import { type FieldCause, invalid } from '../../errors.js';
import { measureCohort } from '../../store/queries/renewals.js';
import type { Store } from '../../store/types.js';
import type { Book } from './book.js';
import type { RuleBook } from './rule-book.js';
import { leastWidthMs, waveWidth } from './rules.js';
import type { RenewalReason, RenewalRule } from './types.js';

/** Certificates that are to be renewed apart from their plan. Times in milliseconds. */
export type WaveDraft = {
  readonly ring: string;
  readonly authority?: string;
  readonly profile?: string;
  readonly reason: RenewalReason;
  /** Now for a compromise, otherwise when all who ask have heard of it. */
  readonly notBefore?: number;
  /** So that the wave takes half of what can be issued, when left out. */
  readonly widthMs?: number;
  /** It begins so much later than it would. */
  readonly afterMs?: number;
  /** However much that is at once, it is over by then. */
  readonly until?: number;
};

type Options = {
  readonly store: Store;
  readonly ca: Pick<Ca, 'rings' | 'authorities'>;
  readonly profiles: readonly { readonly signerName: string }[];
  readonly rules: RuleBook;
  readonly book: Pick<Book, 'spread'>;
  /** What can be issued. */
  readonly perSecond: number;
  readonly retryAfterMs: number;
  /** The end of the window in which certificates renew by themselves, as a share of their life. */
  readonly until: number;
};

/**
 * Asks the holders of some certificates to renew in a wave. Undefined where there are none, or that would take as long as
 * they take by themselves; a wave that goes on is not begun again. Throws 'invalid' for a ring, authority or profile that is not there.
 */
export async function askFor(
  draft: WaveDraft,
  { now, actor, ...options }: Options & { readonly now: number; readonly actor: string },
): Promise<RenewalRule | undefined> {
  const { store, rules, book, perSecond, retryAfterMs, until } = options;
  const causes = faultsOf(draft, options);
  if (causes.length > 0) throw invalid(causes, { resource: 'renewal-rules' });
  const asked = askedAlready(draft, options, now);
  if (asked !== undefined) return asked;
  const { ring, authority, profile, reason } = draft;
  const { count, lifeMs } = await measureCohort(store.db, { ring, authority, profile }, now);
  const natural = count === 0 ? undefined : waveWidth({ reason, count, lifeMs, until }, perSecond);
  const wide = draft.widthMs ?? natural;
  if (wide === undefined) return undefined;
  const soonest = reason === 'compromise' ? now : now + retryAfterMs;
  const notBefore = draft.notBefore ?? soonest + (draft.afterMs ?? 0);
  const width = Math.min(wide, Math.max(leastWidthMs, (draft.until ?? Infinity) - notBefore));
  const wanted = {
    ...{ ring, reason, notBefore, width },
    ...(authority === undefined ? {} : { authority }),
    ...(profile === undefined ? {} : { profile }),
  };
  const rule = await store.write((tx) => rules.add(tx, wanted, actor));
  // What is planned from now on goes around it.
  book.spread(notBefore, notBefore + width, count);
  return rule;
}

/** An authority that signs no more has the same leaves when somebody asks for them once more. */
function askedAlready(draft: WaveDraft, { ca, rules }: Options, now: number): RenewalRule | undefined {
  const { ring, authority, profile, reason, notBefore, widthMs } = draft;
  const isOpen = notBefore === undefined && widthMs === undefined && authority !== undefined;
  if (!isOpen || ca.rings().some(({ active }) => active.ski === authority)) return undefined;
  return rules
    .list()
    .find(
      (rule) =>
        rule.ring === ring &&
        rule.authority === authority &&
        rule.profile === profile &&
        rule.reason === reason &&
        rule.notBefore + rule.width > now,
    );
}

function faultsOf({ ring, authority, profile }: WaveDraft, { ca, profiles }: Options): FieldCause[] {
  const fault = (field: string, value: string, known: readonly string[]): FieldCause => ({
    ...{ field, reason: 'FieldValueNotSupported' },
    message: `${JSON.stringify(value)}: there is no such ${field}; there are ${known.join(', ')}`,
  });
  const rings = ca.rings().map(({ name }) => name);
  if (!rings.includes(ring)) return [fault('ring', ring, rings)];
  const authorities = ca.authorities(ring).map(({ ski }) => ski);
  const signers = profiles.map(({ signerName }) => signerName);
  return [
    ...(authority === undefined || authorities.includes(authority) ? [] : [fault('authority', authority, authorities)]),
    ...(profile === undefined || signers.includes(profile) ? [] : [fault('profile', profile, signers)]),
  ];
}
