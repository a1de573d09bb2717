import type { Bundle, Ring } from '../ca/types.js';
import { RotundaError } from '../errors.js';
import type { Parts } from './parts.js';
import type { CertificateRequest, Profile, RequestDraft } from './types.js';

/** What a caller says about the bundle that its machine verifies with. */
export type StatedBundle = { readonly generation?: number; readonly digest?: string };

const generationAnnotation = 'rotunda.dev/bundle-generation';
const digestAnnotation = 'rotunda.dev/bundle-digest';

/** The draft with its statement as annotations, so that the stored request tells what its machine held. */
export function withStatement(draft: RequestDraft): RequestDraft {
  const { generation, digest } = draft.bundle ?? {};
  if (generation === undefined) return draft;
  const annotations = {
    ...draft.metadata.annotations,
    [generationAnnotation]: String(generation),
    ...(digest === undefined ? {} : { [digestAnnotation]: digest }),
  };
  return { ...draft, metadata: { ...draft.metadata, annotations } };
}

/** The generation that a stored request states; undefined where it states none. */
export function statedGeneration({ metadata }: Pick<CertificateRequest, 'metadata'>): number | undefined {
  const text = metadata.annotations?.[generationAnnotation] ?? '';
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** The bundle that a stored request states, where it can be told from others. */
export function statedBundle(
  request: Pick<CertificateRequest, 'metadata'>,
): { readonly generation: number; readonly digest: string } | undefined {
  const generation = statedGeneration(request);
  const digest = request.metadata.annotations?.[digestAnnotation];
  return generation === undefined || digest === undefined ? undefined : { generation, digest };
}

/**
 * Who gets a leaf must hold what its peers may present: a joiner that knows an older bundle would refuse them, and nothing
 * would tell (docs/rotation/model.md: registering it is not enough). Only surfaces whose clients can say what they hold are
 * asked, and the ring is the profile's own. Throws 'stale-bundle' with the current bundle.
 *
 * To be called once the certificate is prepared: a floor that goes up comes with a new epoch, under which what was
 * prepared before cannot be signed.
 */
export async function requireFloor(
  parts: Pick<Parts, 'ca'>,
  profile: Profile,
  stated: StatedBundle | undefined,
): Promise<void> {
  if (stated === undefined) return;
  const { ca } = parts;
  const ring = ca.ring(profile.ring);
  const { generation } = stated;
  if (generation === undefined || generation < ring.joinFloor) {
    if (ring.joinFloor === 0) return;
    throw stale(ca.bundle(ring.name), belowFloor(ring, generation));
  }
  // Another replica may have published it, and this one not have heard yet.
  if (generation > ring.generation) await ca.reload();
  const current = ca.bundle(ring.name);
  if (generation > current.generation)
    throw stale(current, `the ring ${ring.name} has no bundle ${String(generation)} yet`);
  if (stated.digest === undefined || generation === 0) return;
  const { digest } = await ca.bundleAt(ring.name, generation);
  if (digest !== stated.digest)
    throw stale(current, `bundle ${String(generation)} of the ring ${ring.name} is another one than the caller holds`);
}

/**
 * The same for a request that was stored: since it was, the floor may have gone up. What it says in its annotations counts,
 * whoever wrote it there. Throws 'stale-bundle'.
 */
export function requireStoredFloor(
  parts: Pick<Parts, 'ca'>,
  profile: Profile,
  request: Pick<CertificateRequest, 'metadata'>,
): Promise<void> {
  return requireFloor(parts, profile, statedIn(request));
}

/** What the annotations of a request state, whoever wrote it there; undefined where that is nothing. */
export function statedIn(request: Pick<CertificateRequest, 'metadata'>): StatedBundle | undefined {
  const generation = statedGeneration(request);
  return statedBundle(request) ?? (generation === undefined ? undefined : { generation });
}

function belowFloor({ name, joinFloor }: Ring, generation: number | undefined): string {
  const needed = `the ring ${name} gives certificates to those who hold bundle ${String(joinFloor)} or a later one`;
  return generation === undefined
    ? `${needed}, and the caller states none`
    : `${needed}, and the caller has ${String(generation)}`;
}

function stale(bundle: Bundle, message: string): RotundaError {
  const generation = String(bundle.generation);
  return new RotundaError('stale-bundle', message, {
    hint: `write the anchors of this answer's bundle where the certificate will be used, and ask again with bundleGeneration ${generation}`,
    bundle,
  });
}
