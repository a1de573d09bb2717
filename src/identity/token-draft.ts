import { invalid, type FieldCause, RotundaError } from '../errors.js';
import { cause, checkNodeName } from '../fleet/names.js';
import type { NodeDraft } from '../fleet/types.js';
import { isTokenGroup, kubeadmNodeGroup, parseToken, type TokenParts } from './token-format.js';
import type { Identity, Token, TokenDraft } from './types.js';

/** A draft that passed every rule, with its defaults filled in. */
export type ReadyToken = Pick<
  Token,
  'kind' | 'node' | 'cluster' | 'member' | 'groups' | 'usages' | 'description' | 'reusable'
> & {
  /** Undefined: never expires. */
  readonly expiresAt: number | undefined;
  readonly labels: Token['labels'];
  readonly annotations: Token['annotations'];
  /** The node to enrol with it. */
  readonly enrols: NodeDraft | undefined;
  readonly chosen: TokenParts | undefined;
};

const hourMs = 3_600_000;
const longestTtlMs = 365 * 24 * hourMs;

/**
 * Checks a draft at a time (milliseconds) and fills in its defaults: bound tokens live an hour and authenticate only; unbound ones live a day,
 * also sign cluster-info, and carry kubeadm's node group, as `kubeadm token create` makes them. A lifetime of 0 means
 * no expiry, which only unbound and reusable tokens may have: every other one has done its work within its lifetime.
 * Control-plane tokens are never reusable and are made by administrators only, because their certificates are the
 * cluster. Throws 'invalid' with every broken rule, 'forbidden'.
 */
export function readTokenDraft(draft: TokenDraft, actor: Identity, now: number): ReadyToken {
  const bindings = [draft.node, draft.etcdMember, draft.controlPlane].filter((binding) => binding !== undefined);
  if (bindings.length > 1) {
    throw invalid([
      {
        reason: 'FieldValueInvalid',
        message: 'a token is bound to one of node, etcdMember and controlPlane, not to several',
      },
    ]);
  }
  const kind = kindOf(draft);
  if (kind === 'control-plane' && actor.kind !== 'internal' && !actor.roles.includes('admin')) {
    throw new RotundaError(
      'forbidden',
      `User ${JSON.stringify(actor.username)} cannot create control-plane tokens: only administrators can`,
    );
  }
  const causes = [...bindingCauses(draft, kind), ...lifetimeCauses(draft, kind, now), ...contentCauses(draft)];
  if (causes.length > 0) throw invalid(causes, { resource: 'tokens', kind: 'Token' });
  const unbound = kind === 'unbound';
  return {
    kind,
    node: draft.node?.name ?? draft.controlPlane,
    cluster: draft.etcdMember?.cluster,
    member: draft.etcdMember?.name,
    groups: [...new Set(draft.groups ?? (unbound ? [kubeadmNodeGroup] : []))].sort(),
    usages: [
      ...new Set(draft.usages ?? (unbound ? (['authentication', 'signing'] as const) : (['authentication'] as const))),
    ].sort(),
    description: draft.description ?? '',
    reusable: draft.reusable ?? false,
    expiresAt: draft.ttlMs === 0 ? undefined : (draft.expiresAt ?? now + (draft.ttlMs ?? (unbound ? 24 : 1) * hourMs)),
    labels: draft.labels ?? {},
    annotations: draft.annotations ?? {},
    enrols: draft.node,
    chosen: draft.token === undefined ? undefined : parseToken(draft.token),
  };
}

function kindOf(draft: TokenDraft): Token['kind'] {
  if (draft.node !== undefined) return 'node';
  if (draft.etcdMember !== undefined) return 'etcd-member';
  return draft.controlPlane === undefined ? 'unbound' : 'control-plane';
}

function bindingCauses(draft: TokenDraft, kind: Token['kind']): readonly FieldCause[] {
  const causes: FieldCause[] = [];
  if (draft.controlPlane !== undefined) {
    const name = checkNodeName(draft.controlPlane);
    if ('problem' in name) causes.push(cause('controlPlane', draft.controlPlane, name.problem));
  }
  if (draft.reusable !== true) return causes;
  if (kind === 'unbound') causes.push(forbidden('reusable', 'an unbound token serves every expected node anyway'));
  if (kind === 'control-plane') causes.push(forbidden('reusable', 'a control-plane token serves once'));
  return causes;
}

function lifetimeCauses(
  { ttlMs, expiresAt, reusable = false }: TokenDraft,
  kind: Token['kind'],
  now: number,
): readonly FieldCause[] {
  if (expiresAt !== undefined) {
    const time = new Date(expiresAt).toISOString();
    if (expiresAt <= now) return [cause('expiresAt', time, 'must be in the future')];
    return expiresAt > now + longestTtlMs ? [cause('expiresAt', time, 'must be at most 365 days from now')] : [];
  }
  if (ttlMs === undefined) return [];
  if (!Number.isInteger(ttlMs) || ttlMs < 0 || ttlMs > longestTtlMs) {
    return [cause('ttlMs', String(ttlMs), `must be between 0 and ${longestTtlMs} milliseconds (365 days)`)];
  }
  if (ttlMs > 0 || kind === 'unbound' || (reusable && kind !== 'control-plane')) return [];
  return [forbidden('ttlMs', 'only unbound and reusable tokens may be without expiry (0)')];
}

function contentCauses(draft: TokenDraft): readonly FieldCause[] {
  const causes: FieldCause[] = [];
  (draft.groups ?? []).forEach((group, index) => {
    if (isTokenGroup(group)) return;
    causes.push(cause(`groups[${index}]`, group, 'must match system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]'));
  });
  if ((draft.groups?.length ?? 0) > 32)
    causes.push({ field: 'groups', reason: 'FieldValueTooLong', message: 'must have at most 32 entries' });
  if (draft.usages?.length === 0)
    causes.push({
      field: 'usages',
      reason: 'FieldValueRequired',
      message: 'at least one of authentication and signing',
    });
  // The value is a secret, so it is not repeated.
  if (draft.token !== undefined && parseToken(draft.token) === undefined) {
    causes.push({ field: 'token', reason: 'FieldValueInvalid', message: 'must match [a-z0-9]{6}.[a-z0-9]{16}' });
  }
  if (draft.description !== undefined && !/^[^\p{Cc}]{0,1024}$/u.test(draft.description)) {
    causes.push(
      cause('description', draft.description, 'must be at most 1024 characters, none of them a control character'),
    );
  }
  return causes;
}

function forbidden(field: string, message: string): FieldCause {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${message}` };
}
