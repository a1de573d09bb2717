import type { Service } from '../schedules/service.js';
import { latest } from './scenarios.js';

/** What a scenario has come to, without times, serials and keys: the same however often it was interrupted. */
export async function endingOf(service: Service, ring: string): Promise<unknown> {
  const rotation = await latest(service, ring);
  const { db } = service.context().store;
  const id = rotation?.id ?? '';
  const events = await service.context().rotations.explain(id);
  const effects = await db
    .selectFrom('effects')
    .select(['id', 'state'])
    .where('rotation', '=', id)
    .orderBy('id')
    .execute();
  const undone = effects.filter((effect) => (service.outside.done.get(effect.id) ?? 0) === 0);
  return {
    ...(await ringOf(service, ring)),
    rotation: rotation && {
      kind: rotation.kind,
      state: rotation.state,
      back: rotation.back,
      disagreement: rotation.disagreement,
    },
    rotations: (await service.context().rotations.list({ ring, limit: 10 })).length,
    transitions: events.events.filter(({ kind }) => kind === 'transition').map(({ from, to }) => `${from} > ${to}`),
    effects: effects.map((effect) => `${effect.id} ${effect.state}`),
    undone: undone.map((effect) => effect.id),
  };
}

async function ringOf(service: Service, ring: string): Promise<Record<string, unknown>> {
  const { db } = service.context().store;
  const keySet = await db.selectFrom('key_sets').selectAll().where('ring', '=', ring).executeTakeFirst();
  if (keySet !== undefined) return { keySet: await keySetOf(service, ring, keySet) };
  const row = await db.selectFrom('rings').selectAll().where('name', '=', ring).executeTakeFirstOrThrow();
  const authorities = await db
    .selectFrom('authorities')
    .selectAll()
    .where('ring', '=', ring)
    .orderBy('created_at')
    .orderBy('subject')
    .execute();
  const certificates = await db.selectFrom('authority_certificates').select(['fingerprint', 'ski', 'kind']).execute();
  const role = (ski: string): string =>
    `authority ${String(authorities.findIndex((authority) => authority.ski === ski) + 1)}`;
  const anchor = (fingerprint: string): string => {
    const found = certificates.find((certificate) => certificate.fingerprint === fingerprint);
    return `${role(found?.ski ?? '')} ${found?.kind ?? ''}`;
  };
  const bundles = await db
    .selectFrom('bundles')
    .select(['generation', 'anchors', 'digest', 'signed_by'])
    .where('ring', '=', ring)
    .orderBy('generation')
    .execute();
  const live = await db
    .selectFrom('certificates')
    .select(['ski', 'profile'])
    .where('ring', '=', ring)
    .where('superseded_at', 'is', null)
    .where('revoked_at', 'is', null)
    .execute();
  return {
    ring: {
      ...{
        epoch: row.epoch,
        generation: row.generation,
        frozen: row.frozen,
        floor: row.join_floor,
        held: row.joins_held,
      },
      ...{
        signer: role(row.active_ski),
        cross: row.cross_certificate === null ? 'none' : anchor(row.cross_certificate),
      },
    },
    authorities: authorities.map(({ ski, state, tainted, sealed, wrapped_key: key }) => ({
      role: role(ski),
      state,
      tainted,
      sealed,
      hasKey: key !== null,
    })),
    bundles: bundles.map(({ generation, anchors, signed_by: by }) => ({
      generation,
      anchors: (JSON.parse(anchors) as string[]).map(anchor),
      signedBy: by === null ? 'nobody' : role(by),
    })),
    givenOut: bundles.at(-1)?.digest === service.outside.published.get(ring),
    inUse: live.map(({ ski, profile }) => `${profile} by ${role(ski)}`).sort(),
    presents: role(service.context().ca.ring(ring).active.ski),
  };
}

async function keySetOf(
  service: Service,
  ring: string,
  row: { readonly generation: number; readonly epoch: number; readonly active_key: string },
): Promise<Record<string, unknown>> {
  const { db } = service.context().store;
  const rows = await db
    .selectFrom('signing_keys')
    .select(['kid', 'state', 'tainted'])
    .where('ring', '=', ring)
    .orderBy('created_at')
    .execute();
  const { keys } = await service.context().keySets.get(ring);
  const number = (kid: string): number => rows.findIndex((key) => key.kid === kid) + 1;
  return {
    ...{ generation: row.generation, epoch: row.epoch, active: number(row.active_key) },
    keys: rows.map(({ kid, state, tainted }) => ({ number: number(kid), state, tainted })),
    published: keys.map(({ kid }) => number(kid)),
  };
}
