import { RotundaError } from '../errors.js';
import { parseObject } from './object.js';
import type { Parts } from './parts.js';
import { countRequests, findRequestText, listRequests } from './rows.js';
import type { RequestFilter, RequestList } from './types.js';

const pageSize = 500;

/** One page, in name order. The revision is read first, so that a watch from it misses nothing. */
export async function list(parts: Parts, filter: RequestFilter): Promise<RequestList> {
  const { db } = parts.store;
  const revision = await parts.store.revision();
  if (filter.name !== undefined) {
    const text = await findRequestText(db, filter.name);
    return {
      items: text !== undefined && accepts(filter, text) ? [text] : [],
      revision,
      continue: undefined,
      remaining: undefined,
    };
  }
  const limit = filter.limit === undefined || filter.limit <= 0 ? Infinity : filter.limit;
  const conditions = {
    ...(filter.signerName && { signerName: filter.signerName }),
    ...(filter.state && { state: filter.state }),
  };
  const items: string[] = [];
  let after = filter.continue === undefined ? undefined : readContinue(filter.continue);
  for (;;) {
    const rows = await listRequests(db, { after, limit: Math.min(pageSize, limit + 1), ...conditions });
    for (const { name, object } of rows) {
      if (items.length === limit) return { items, revision, ...(await rest(parts, filter, after ?? '', conditions)) };
      after = name;
      if (accepts(filter, object)) items.push(object);
    }
    if (rows.length < Math.min(pageSize, limit + 1))
      return { items, revision, continue: undefined, remaining: undefined };
  }
}

type Conditions = Pick<RequestFilter, 'signerName' | 'state'>;

/** How the next page starts, and, as upstream, how many are left when no selector filters them. */
async function rest(
  parts: Parts,
  filter: RequestFilter,
  after: string,
  conditions: Conditions,
): Promise<Pick<RequestList, 'continue' | 'remaining'>> {
  const filtered = filter.matches !== undefined || filter.signerName !== undefined;
  const remaining = filtered ? undefined : await countRequests(parts.store.db, { after, ...definedOf(conditions) });
  return { continue: Buffer.from(JSON.stringify({ after })).toString('base64url'), remaining };
}

function definedOf({ signerName, state }: Conditions): {
  signerName?: string;
  state?: NonNullable<RequestFilter['state']>;
} {
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
