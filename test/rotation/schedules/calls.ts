import type { Identity } from '../../../src/identity/types.js';
import { csrPem } from '../../support/pkcs10.js';
import { verifies } from './chains.js';
import { told } from './excuses.js';
import { deliver, type Held, type Leaf, type Message, type Peer, restart } from './peer.js';
import { leafOf, nowOf, servedChain, tick, unlessRefused, type World } from './world.js';

/** Long enough to outlive a few steps of a schedule, short enough to run out in one. */
const lifetimeSeconds = 24 * 3600;

/** Whether its process would speak to the service as that presents itself. */
export function trustsService(world: World, trust: Held | undefined, skewMs: number): boolean {
  if (!world.flavour.meetsService) return true;
  return trust !== undefined && verifies(servedChain(world), trust.anchors, nowOf(world) + skewMs);
}

/** Its process calls with its certificate: who it is there. Undefined where one of the two refuses the other. */
export async function authenticate(world: World, peer: Peer): Promise<Identity | undefined> {
  const { process } = peer;
  const leaf = process?.leaf;
  if (!peer.up || peer.away || leaf === undefined || !trustsService(world, process?.trust, peer.skewMs))
    return undefined;
  const { leaf: certificate, more } = leaf.chain;
  const credentials = { certificate: certificate.raw, chain: more.map(({ raw }) => raw) };
  return unlessRefused(world, world.service.context().authenticator.authenticate(credentials));
}

/** Asks for another certificate with the present one. */
export async function ask(world: World, peer: Peer): Promise<void> {
  const identity = await authenticate(world, peer);
  const { process } = peer;
  if (identity === undefined || process === undefined) return;
  const { generation, digest } = process.trust;
  await submit(world, peer, { identity, stated: { generation, digest }, joinsWith: undefined });
}

type Submission = {
  readonly identity: Identity;
  readonly stated: { readonly generation: number; readonly digest: string } | undefined;
  readonly joinsWith: Held | undefined;
};

async function submit(
  world: World,
  peer: Peer,
  { identity, stated, joinsWith }: Submission,
): Promise<Leaf | undefined> {
  const { flavour, service } = world;
  const pem = csrPem(peer.key, flavour.subject(peer.machine));
  const draft = {
    metadata: { generateName: 'csr-' },
    spec: {
      ...{ request: Buffer.from(pem).toString('base64'), signerName: flavour.signerName, usages: [...flavour.usages] },
      expirationSeconds: lifetimeSeconds,
    },
    pem: 'upstream',
    ...(stated !== undefined && { bundle: stated }),
  } as const;
  const submitted = await unlessRefused(world, service.context().requests.submit(identity, draft));
  if (submitted === undefined) return undefined;
  const { issued, decision, request } = await submitted.settled;
  if (issued !== undefined) {
    const leaf = leafOf(issued.chainPem);
    if (joinsWith === undefined) peer.answers.push(leaf);
    return leaf;
  }
  world.story.push(`  ${peer.name} waits: ${decision?.reason ?? ''}`);
  peer.waiting.push({ request: request.metadata.name, joinsWith });
  return undefined;
}

/** What was decided later is on its way then. */
export async function collect(world: World): Promise<void> {
  for (const peer of world.peers) {
    for (const waiting of [...peer.waiting]) {
      // Whoever does not trust the service any more does not hear of it.
      if (!trustsService(world, waiting.joinsWith ?? peer.process?.trust, peer.skewMs)) continue;
      const { requests } = world.service.context();
      const object = await unlessRefused(world, requests.get(waiting.request));
      const text = object === undefined ? undefined : certificateIn(object);
      if (text === undefined) continue;
      peer.waiting = peer.waiting.filter((other) => other !== waiting);
      const leaf = leafOf(Buffer.from(text, 'base64').toString());
      if (waiting.joinsWith === undefined) peer.answers.push(leaf);
      else begin(world, peer, waiting.joinsWith, leaf);
    }
  }
}

function certificateIn(object: string): string | undefined {
  return (JSON.parse(object) as { status?: { certificate?: string } }).status?.certificate;
}

/**
 * A machine is built, or built anew, with a bundle from somewhere, and joins with a token; over REST it states what it
 * holds, unmodified kubelets cannot.
 */
export async function join(
  world: World,
  peer: Peer,
  how: { readonly bundle: Held; readonly states: boolean },
): Promise<boolean> {
  const { flavour, service } = world;
  const { bundle, states } = how;
  if (peer.away || !trustsService(world, bundle, peer.skewMs)) return false;
  Object.assign(peer, { up: false, process: undefined, file: undefined, leafFile: undefined, restored: undefined });
  Object.assign(peer, { answers: [], waiting: [], outbox: [], image: undefined, streams: [] });
  const authorization = `Bearer ${await flavour.token(service.context(), peer.machine)}`;
  const identity = await unlessRefused(world, service.context().authenticator.authenticate({ authorization }));
  if (identity === undefined) return false;
  const { generation, digest } = bundle;
  const stated = states ? { generation, digest } : undefined;
  const leaf = await submit(world, peer, { identity, stated, joinsWith: bundle });
  if (leaf !== undefined) begin(world, peer, bundle, leaf);
  return leaf !== undefined;
}

function begin(world: World, peer: Peer, bundle: Held, leaf: Leaf): void {
  peer.up = true;
  deliver(peer, { ...bundle, at: nowOf(world) + peer.skewMs });
  peer.leafFile = leaf;
  restart(peer, tick(world));
}

/** What it would report now; undefined where it cannot. `lies`: that its process has what is only in its file. */
export async function messageOf(world: World, peer: Peer, how?: 'lies'): Promise<Message | undefined> {
  const actor = await authenticate(world, peer);
  const { process, file } = peer;
  if (actor === undefined || process === undefined || file === undefined) return undefined;
  const reportedAt = tick(world) + peer.skewMs;
  const lies = how === 'lies';
  const loaded = lies ? file : process.trust;
  const startedAt = lies ? reportedAt : process.startedAt;
  const ring = {
    ring: world.flavour.ring,
    delivered: { generation: file.generation, digest: file.digest, at: file.at },
    loaded: { generation: loaded.generation, digest: loaded.digest },
  };
  return {
    actor,
    report: { process: { id: lies ? `lie-${String(reportedAt)}` : process.id, startedAt }, reportedAt, rings: [ring] },
  };
}

/** As far as a report may be from the service's time. */
const latestMs = 86_400_000;

/**
 * A report arrives, now or late. One that is a day old is refused, and so is one whose process began after it, by a clock
 * that was set since.
 */
export async function send(world: World, peer: Peer, message: Message | undefined): Promise<void> {
  if (message === undefined || message.report.process.startedAt > message.report.reportedAt) return;
  if (Math.abs(message.report.reportedAt - nowOf(world)) > latestMs) return;
  const { consumers } = world.service.context();
  const answer = await unlessRefused(world, consumers.heartbeat(peer.name, message.report, message.actor));
  if (answer === undefined) return;
  world.story.push(`  ${peer.name}: ${answer.outcome}`);
  if (answer.outcome === 'applied' && message.report.process.id === peer.process?.id) told(world, peer);
}
