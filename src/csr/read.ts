import { RotundaError } from '../errors.js';
import { countRequests, findRequestObject, listRequests } from '../store/queries/requests.js';
import { parseObject } from './object.js';
import type { Parts } from './parts.js';
import type { RequestFilter, RequestList } from './types.js';

const pageSize = 500;

/** One page, in name order. */
export async function list(parts: Parts, filter: RequestFilter): Promise<RequestList> {
  if (filter.name !== undefined) return single(parts, filter, filter.name);
  const limit = filter.limit === undefined || filter.limit <= 0 ? Infinity : filter.limit;
  const conditions = definedOf(filter);
  const items: string[] = [];
  let after = filter.continue === undefined ? undefined : readContinue(filter.continue);
  let revision: number | undefined;
  for (;;) {
    const size = Math.min(pageSize, limit + 1);
    const page = await listRequests(parts.store.db, {
      ...(after === undefined ? {} : { after }),
      limit: size,
      ...conditions,
    });
    // A later page may know more than this revision tells, which a watch from it only repeats.
    revision ??= page.revision;
    for (const { name, object } of page.items) {
      if (items.length === limit) return { items, revision, ...(await rest(parts, filter, after ?? '', conditions)) };
      after = name;
      if (accepts(filter, object)) items.push(object);
    }
    if (page.items.length < size) return { items, revision, continue: undefined, remaining: undefined };
  }
}

async function single(parts: Parts, filter: RequestFilter, name: string): Promise<RequestList> {
  const revision = await parts.store.revision();
  const text = await findRequestObject(parts.store.db, name);
  const items = text !== undefined && accepts(filter, text) ? [text] : [];
  return { items, revision, continue: undefined, remaining: undefined };
}

type Conditions = { signerName?: string; state?: NonNullable<RequestFilter['state']> };

/** How the next page starts, and, as upstream, how many are left when no selector filters them. */
async function rest(
  parts: Parts,
  filter: RequestFilter,
  after: string,
  conditions: Conditions,
): Promise<Pick<RequestList, 'continue' | 'remaining'>> {
  const filtered = filter.matches !== undefined || filter.signerName !== undefined;
  const remaining = filtered ? undefined : await countRequests(parts.store.db, { after, ...conditions });
  return { continue: Buffer.from(JSON.stringify({ after })).toString('base64url'), remaining };
}

function definedOf({ signerName, state }: RequestFilter): Conditions {
  return { ...(signerName === undefined ? {} : { signerName }), ...(state === undefined ? {} : { state }) };
}

function accepts({ matches, signerName, state }: RequestFilter, text: string): boolean {
  if (matches === undefined && signerName === undefined && state === undefined) return true;
  const request = parseObject(text);
  return (
    (signerName === undefined || request.spec.signerName === signerName) && (matches === undefined || matches(request))
  );
}

function readContinue(token: string): string {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (typeof value === 'object' && value !== null && 'after' in value && typeof value.after === 'string')
      return value.after;
  } catch {
    // Told below, like any other token that is not ours.
  }
  throw new RotundaError('bad-request', 'continue key is not valid: it is not one that this service gave out');
}
