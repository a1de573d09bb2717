import type { Flaw } from './flaws.js';
import type { Invariant } from './invariants.js';
import type { PeerSetup, Setup } from './setup.js';

export type Mutant = {
  readonly title: string;
  readonly flaws: readonly Flaw[];
  readonly setup: Setup;
  /** The invariants, one of which it must break. */
  readonly breaks: readonly Invariant[];
};

const a: PeerSetup = { name: 'a', starts: 'member', leaves: 'simple' };
const b: PeerSetup = { name: 'b', starts: 'member', leaves: 'simple' };
const unknown: PeerSetup = { ...b, starts: 'unregistered' };
const joiner: PeerSetup = { name: 'the joiner', starts: 'outside', leaves: 'simple' };
const stepwise: PeerSetup = { ...a, leaves: 'stepwise', renews: true };
const rebuilt: PeerSetup = { ...joiner, rebuilt: true };
const seen: PeerSetup = { ...joiner, handshakes: true };

const mortal = { dies: true, quarantine: true } as const;

const plain: Setup = { title: '', kind: 'planned', crossSigned: false, joiners: 'stating', peers: [a, b, joiner] };
const crossed: Setup = { ...plain, crossSigned: true, joiners: 'silent' };
const held: Setup = { ...plain, joiners: 'silent' };
const emergency: Setup = { ...plain, kind: 'emergency' };
const reissue: Setup = { ...plain, kind: 'reissue' };

const leaf: readonly Invariant[] = ['I1'];

/** A title, the flaw, where it shows, and what it breaks when that is not I1. */
const rows: readonly (readonly [string, Flaw | readonly Flaw[], Setup, (readonly Invariant[])?])[] = [
  ['no trust gate', 'no-trust-gate', plain],
  ['the file is acknowledged, not the process', 'file-level-acknowledgement', plain],
  [
    'trust is not looked at again before the signer switches',
    'no-trust-recheck',
    { ...plain, peers: [a, unknown, joiner] },
  ],
  [
    'the facts are not read again where the transition is written',
    'facts-not-read-again',
    { ...plain, controllers: true, peers: [a, unknown] },
  ],
  [
    'no compare-and-swap: a decision is written whatever has happened since',
    'no-compare-and-swap',
    { ...plain, controllers: true, peers: [a, b] },
  ],
  ['only those count who were there when trust was published', 'membership-snapshot', held],
  [
    'a class without members passes',
    'empty-class-passes',
    { ...plain, undeclaredClass: true, peers: [a, unknown, joiner] },
  ],
  ['a joiner needs no bundle (no floor)', 'no-floor-check', plain],
  ['a joiner gets its leaf first and is registered later', 'registered-late', held],
  [
    'quarantine ends without the floor',
    'returns-without-floor',
    { ...plain, peers: [a, { ...b, quarantine: true }, joiner] },
  ],
  ['an acknowledgement of an earlier process counts', 'earlier-process-counts', { ...held, peers: [a, rebuilt] }],
  ['no drain gate', 'no-drain-gate', plain],
  ['drained by the last reports, without the ledger', 'last-report-drain', plain],
  ['what is being signed is ignored', 'in-flight-ignored', { ...plain, peers: [stepwise, b, joiner] }],
  ['a successor supersedes when it is issued, not when it is seen', 'successor-issued-supersedes', plain],
  [
    'answers may be installed late, and use of the successor counts at once',
    'no-answer-horizon',
    { ...plain, lateAnswers: true },
  ],
  ['the row is written after the signature', 'row-after-signature', plain],
  ['the signer is not fenced by the epoch', 'signer-not-fenced', plain],
  ['no distrust gate', 'no-distrust-gate', plain, ['I14']],
  ['no distrust gate, cross-signed', 'no-distrust-gate', crossed],
  ['new trust is dropped at once on the way back', 'new-trust-dropped-at-once', plain],
  ['the new authority is withdrawn before its leaves have drained', 'no-return-gate', plain],
  ['the old authority signs again before trust in it is acknowledged', 'no-retrust-gate', plain],
  ['the floor is not raised when the old authority is trusted again', 'floor-not-raised-on-retrust', plain],
  ['a bundle that is published again has its earlier generation', 'generation-goes-back', plain],
  [
    'silent joiners: a handshake over the cross-certified chain is evidence',
    'cross-certified-evidence',
    { ...crossed, peers: [a, seen] },
  ],
  [
    'silent joiners: evidence over the cross-certified chain retires the old authority',
    'unclean-evidence-retires',
    { ...crossed, peers: [a, seen] },
  ],
  [
    'silent joiners: evidence over the cross-certified chain lets the old authority sign again',
    'unclean-evidence-retrusts',
    { ...crossed, peers: [a, seen] },
  ],
  [
    'evidence over the cross-certified chain retires the old authority for those who were there before',
    'unclean-evidence-of-members-retires',
    { ...crossed, peers: [a, { ...b, handshakes: true }] },
    ['I14'],
  ],
  [
    'silent joiners: retirement does not wait for them',
    'joiner-does-not-hold-retirement',
    { ...crossed, peers: [a, joiner] },
  ],
  [
    'silent joiners: admitted again after a distrust was rolled back',
    'admitted-again-after-distrust',
    { ...crossed, peers: [a, joiner] },
  ],
  ['silent joiners: no cross-certificate, and admitted', 'not-held', held],
  [
    'silent joiners: no cross-certificate, held only from issuing on, and trust not looked at again',
    ['held-only-from-issuing', 'no-trust-recheck'],
    held,
  ],
  ['silent joiners: no cross-certificate, and not held while a way back drains', 'held-only-while-new-signs', held],
  ['emergency: the tainted authority signs again', 'tainted-signs-again', emergency, ['I11']],
  ['emergency: a way back', 'emergency-rolls-back', emergency, ['I11']],
  ['emergency: what comes with the old credentials is an acknowledgement', 'forged-acknowledgement', emergency],
  [
    'emergency: over without another look at who joined since the cut',
    'no-trust-recheck',
    { ...emergency, joiners: 'silent', peers: [a, joiner] },
    ['I14'],
  ],
  [
    'emergency: the cut waits for stragglers',
    'cut-waits-for-stragglers',
    { ...emergency, peers: [{ ...a, dies: true }, b, joiner] },
    ['I12', 'I13'],
  ],
  ['no quarantine', 'no-quarantine', { ...plain, peers: [a, { ...b, ...mortal }, joiner] }, ['I12', 'I13']],
  [
    'expired leaves hold the drain gate',
    'expired-leaves-count',
    { ...plain, peers: [a, { ...b, ...mortal }, joiner] },
    ['I12', 'I13'],
  ],
  ['same key: no trust gate', 'no-trust-gate', reissue],
  [
    'no quarantine: the end with the new authority is out of reach',
    'no-quarantine',
    { ...plain, peers: [a, { ...b, ...mortal }, joiner] },
    ['I12'],
  ],
  ['no trust gate: the signer is not trusted', 'no-trust-gate', plain, ['I2']],
  [
    'the new authority is withdrawn before its leaves have drained: they need what is not published',
    'no-return-gate',
    plain,
    ['I3'],
  ],
  ['a joiner needs no bundle: it gets a leaf below the floor', 'no-floor-check', plain, ['I4']],
  ['a bundle that is published again has its earlier generation: it goes back', 'generation-goes-back', plain, ['I5']],
  [
    'the row is written after the signature: a leaf that the ledger does not know',
    'row-after-signature',
    plain,
    ['I6'],
  ],
];

export const mutants: readonly Mutant[] = rows.map(([title, flaw, setup, breaks = leaf]) => ({
  title,
  flaws: typeof flaw === 'string' ? [flaw] : flaw,
  setup: { ...setup, title },
  breaks,
}));
