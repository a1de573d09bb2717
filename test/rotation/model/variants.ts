import type { PeerSetup, Setup } from './setup.js';

const a: PeerSetup = { name: 'a', starts: 'member', leaves: 'simple' };
const b: PeerSetup = { name: 'b', starts: 'member', leaves: 'simple' };
const joiner: PeerSetup = { name: 'the joiner', starts: 'outside', leaves: 'simple' };
const unknown: PeerSetup = { ...b, starts: 'unregistered' };
/** Its machine may be lost for good, and it may be left behind. */
const mortal = { dies: true, quarantine: true } as const;
/** Its machine may be lost and come back, and it may be left behind. */
const restored = { rebuilt: true, quarantine: true } as const;
const stepwise = { leaves: 'stepwise', renews: true } as const;

const plain: Setup = {
  title: 'planned',
  kind: 'planned',
  crossSigned: false,
  joiners: 'stating',
  peers: [a, b, joiner],
};
const crossed: Setup = { ...plain, title: 'planned, cross-signed', crossSigned: true };
const emergency: Setup = { ...plain, title: 'emergency', kind: 'emergency' };
const reissue: Setup = { ...plain, title: 'same key', kind: 'reissue' };

function variant(of: Setup, more: string, changes: Partial<Setup> = {}): Setup {
  return { ...of, ...changes, title: `${of.title}, ${more}` };
}

/** The whole protocol, as it is meant to be: explored with every change. */
export const variants: readonly Setup[] = [
  variant(plain, 'a renews, its leaves go stepwise', { peers: [{ ...a, ...stepwise }, b, joiner] }),
  variant(plain, 'reports of b under way', { peers: [a, { ...b, delays: true }, joiner] }),
  variant(plain, 'the joiner rebuilt', { peers: [a, b, { ...joiner, rebuilt: true }] }),
  variant(plain, 'a second controller', { controllers: true, peers: [a, joiner] }),
  variant(plain, 'pauses', { pauses: true, peers: [a, joiner] }),
  variant(plain, 'answers installed late', { lateAnswers: true }),
  variant(plain, 'a class that nobody has declared', { undeclaredClass: true, peers: [a, unknown, joiner] }),
  variant(plain, 'b registered while it runs', { peers: [a, unknown, joiner] }),
  variant(crossed, 'stating joiner', {}),
  variant(crossed, 'silent joiner', { joiners: 'silent' }),
  variant(crossed, 'silent joiner, seen over the cross-certified chain, rebuilt, left behind', {
    ...{ joiners: 'silent', peers: [a, { ...joiner, ...restored, handshakes: true }] },
  }),
  variant(plain, 'silent joiner', { joiners: 'silent' }),
  variant(emergency, 'availability first'),
  variant(emergency, 'security first', { preference: 'security-first' }),
  variant(reissue, 'b lost or left behind', { peers: [a, { ...b, ...mortal }, joiner] }),
];

/** With more of it at once, or with one peer more: minutes. */
export const slowVariants: readonly Setup[] = [
  variant(plain, 'a renews, its leaves go stepwise, b lost or left behind', {
    peers: [{ ...a, ...stepwise }, { ...b, ...mortal }, joiner],
  }),
  variant(plain, 'the joiner rebuilt and left behind, reports of b under way', {
    peers: [a, { ...b, delays: true }, { ...joiner, ...restored }],
  }),
  variant(plain, 'answers installed late, a renews, b left behind', {
    ...{ lateAnswers: true, peers: [{ ...a, renews: true }, { ...b, quarantine: true }, joiner] },
  }),
  variant(crossed, 'silent joiner, seen over the cross-certified chain', {
    ...{ joiners: 'silent', peers: [a, b, { ...joiner, handshakes: true }] },
  }),
  variant(crossed, 'a rebuilt, silent joiner seen, both left behind', {
    ...{
      joiners: 'silent',
      peers: [
        { ...a, ...restored },
        { ...joiner, ...restored, handshakes: true },
      ],
    },
  }),
  variant(plain, 'silent joiner, rebuilt and left behind', {
    joiners: 'silent',
    peers: [a, b, { ...joiner, ...restored }],
  }),
  variant(emergency, 'availability first, b lost or left behind', { peers: [a, { ...b, ...mortal }, joiner] }),
  variant(emergency, 'security first, a renews, reports of b under way', {
    ...{ preference: 'security-first', peers: [{ ...a, renews: true }, { ...b, delays: true }, joiner] },
  }),
  variant(emergency, 'silent joiner', { joiners: 'silent' }),
  variant(plain, 'declared compromised on the way', { declares: true, peers: [a, joiner] }),
  variant(crossed, 'silent joiner, declared compromised on the way', {
    ...{ declares: true, joiners: 'silent', peers: [a, { ...joiner, handshakes: true }] },
  }),
  variant(plain, 'four peers', { peers: [a, b, { ...b, name: 'c' }, joiner] }),
];

/** Small ones that together reach every kind of state that the service can be in. */
export const serviceVariants: readonly Setup[] = [
  variant(plain, 'alone, pauses', { pauses: true, peers: [{ ...a, ...stepwise }] }),
  variant(plain, 'small', {
    peers: [
      { ...a, ...stepwise },
      { ...joiner, quarantine: true },
    ],
  }),
  variant(plain, 'small, unregistered', { undeclaredClass: true, peers: [a, { ...unknown, ...mortal }] }),
  variant(plain, 'small, silent', {
    joiners: 'silent',
    peers: [
      { ...a, ...stepwise },
      { ...joiner, quarantine: true },
    ],
  }),
  variant(crossed, 'small, stating', { peers: [{ ...a, ...stepwise }, joiner] }),
  variant(crossed, 'small, silent', {
    ...{ joiners: 'silent', peers: [a, { ...joiner, quarantine: true, handshakes: true }] },
  }),
  variant(emergency, 'alone, pauses', { pauses: true, peers: [{ ...a, ...stepwise, ...mortal }] }),
  variant(emergency, 'small', { peers: [{ ...a, ...mortal }, joiner] }),
  variant(emergency, 'small, silent, security first', {
    ...{ preference: 'security-first', joiners: 'silent', peers: [{ ...a, ...mortal }, joiner] },
  }),
  variant(crossed, 'alone, declared compromised on the way', { declares: true, peers: [{ ...a, ...stepwise }] }),
  variant(crossed, 'silent joiner alone, declared compromised on the way', {
    ...{ declares: true, joiners: 'silent', peers: [joiner] },
  }),
  variant(plain, 'alone, declared compromised on the way', { declares: true, peers: [{ ...a, ...mortal }] }),
  variant(reissue, 'small', { peers: [{ ...a, ...mortal, leaves: 'stepwise' }, joiner] }),
  variant(reissue, 'alone, pauses', { pauses: true, peers: [a] }),
];
