import { forbidden, invalidValue, notSupported, required } from '../../../csr/causes.js';
import { type FieldCause, invalid, RotundaError } from '../../../errors.js';
import type { LiveToken, TokenChange, TokenDraft } from '../../../identity/types.js';
import type { PlainDraft, PlainObject } from '../resources/types.js';
import { binding, lastApplied, secretNameOf, secretOf, secretType, tokenIdOf } from './token-secret.js';

const dataKeys = [
  'auth-extra-groups',
  'description',
  'expiration',
  'token-id',
  'token-secret',
  'usage-bootstrap-authentication',
  'usage-bootstrap-signing',
];
const reserved = /^([a-z0-9.-]+\.)?rotunda\.dev\//;
const object = { kind: 'Secret' };

type Texts = Readonly<Record<string, string>>;
type Common = Required<Pick<TokenDraft, 'groups' | 'usages' | 'description' | 'labels' | 'annotations'>> & {
  /** Undefined: never. */
  readonly expiresAt: number | undefined;
  readonly secret: string | undefined;
};

/** A Secret to create as the token that it is to become. Throws 'invalid' with the Secret's fields. */
export function newToken(draft: PlainDraft): TokenDraft {
  const { texts, causes } = read(draft);
  const { secret, expiresAt, ...common } = commonOf(draft, texts, causes);
  if (texts['token-secret'] === undefined) causes.push(required('data[token-secret]'));
  const annotations = draft.metadata.annotations ?? {};
  const bound = boundBy(annotations, causes);
  refuse(causes, draft);
  const reusable = annotations[binding.reusable] === 'true' ? { reusable: true } : {};
  const lifetime = expiresAt === undefined ? { ttlMs: 0 } : { expiresAt };
  const token = `${texts['token-id'] ?? ''}.${secret ?? ''}`;
  return { ...common, ...bound, ...reusable, ...lifetime, token };
}

/** A changed Secret as the change of its token. Throws 'invalid' for what does not change. */
export function tokenChange(draft: PlainDraft, { token, secret: kept }: LiveToken): TokenChange {
  const { texts, causes } = read(draft);
  const { secret, expiresAt, ...common } = commonOf(draft, texts, causes);
  const before = secretOf(token, kept).metadata.annotations ?? {};
  const after = draft.metadata.annotations ?? {};
  const message = 'what a token is bound to does not change; delete it and make another';
  for (const key of Object.values(binding)) {
    if (before[key] !== after[key]) causes.push(forbidden(`metadata.annotations[${key}]`, message));
  }
  refuse(causes, draft);
  // Seconds are all that a Secret says: what was not changed keeps its milliseconds.
  const unchanged = token.expiresAt !== undefined && expiresAt === Math.floor(token.expiresAt / 1000) * 1000;
  return {
    ...common,
    expiresAt: unchanged ? token.expiresAt : expiresAt,
    ...(secret === undefined ? {} : { secret }),
  };
}

function refuse(causes: readonly FieldCause[], { metadata }: PlainDraft): void {
  if (causes.length > 0) throw invalid(causes, { ...object, resource: 'secrets', name: metadata.name });
}

/** The data as text, strings in plain words over encoded ones, and what is wrong with the Secret as such. */
function read(draft: PlainDraft): { texts: Texts; causes: FieldCause[] } {
  const { type = 'Opaque', immutable } = draft as { readonly type?: string; readonly immutable?: boolean };
  const causes: FieldCause[] = [];
  if (type !== secretType) causes.push(notSupported('type', type, [secretType]));
  if (immutable === true) causes.push(forbidden('immutable', 'a token can always be revoked, so it is not immutable'));
  const texts = new Map<string, string>();
  for (const [key, encoded] of Object.entries((draft['data'] ?? {}) as Texts)) {
    const text = decode(encoded);
    if (text === undefined) causes.push(notRepeated(`data[${key}]`, 'must be UTF-8 text'));
    else texts.set(key, text);
  }
  for (const [key, text] of Object.entries((draft['stringData'] ?? {}) as Texts)) texts.set(key, text);
  for (const key of texts.keys()) if (!dataKeys.includes(key)) causes.push(notSupported('data', key, dataKeys));
  const { name } = draft.metadata;
  const id = texts.get('token-id');
  if (id === undefined) causes.push(required('data[token-id]'));
  else if (tokenIdOf(secretNameOf(id)) === undefined)
    causes.push(invalidValue('data[token-id]', id, 'must match [a-z0-9]{6}'));
  else if (name !== secretNameOf(id))
    causes.push(invalidValue('metadata.name', name, `must be ${secretNameOf(id)}, after data[token-id]`));
  return { texts: Object.fromEntries(texts), causes };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(encoded: string): string | undefined {
  try {
    return utf8.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}

/** The value may be a secret. */
function notRepeated(field: string, rule: string): FieldCause {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${rule}` };
}

function commonOf(draft: PlainDraft, texts: Texts, causes: FieldCause[]): Common {
  const secret = texts['token-secret'];
  if (secret !== undefined && !/^[a-z0-9]{16}$/.test(secret))
    causes.push(notRepeated('data[token-secret]', 'must match [a-z0-9]{16}'));
  const usages = (['authentication', 'signing'] as const).filter((usage) => {
    const field = `usage-bootstrap-${usage}`;
    const text = texts[field];
    if (text !== undefined && text !== 'true' && text !== 'false')
      causes.push(notSupported(`data[${field}]`, text.slice(0, 100), ['true', 'false']));
    return text === 'true';
  });
  if (usages.length === 0)
    causes.push(required('data', 'usage-bootstrap-authentication or usage-bootstrap-signing must be "true"'));
  const groups = (texts['auth-extra-groups'] ?? '').split(',').filter((group) => group !== '');
  return {
    secret,
    usages,
    groups,
    description: texts['description'] ?? '',
    expiresAt: expirationOf(texts['expiration'], causes),
    labels: draft.metadata.labels ?? {},
    annotations: ownAnnotations(draft, causes),
  };
}

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

function expirationOf(text: string | undefined, causes: FieldCause[]): number | undefined {
  if (text === undefined || text === '') return undefined;
  const at = rfc3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    causes.push(invalidValue('data[expiration]', text.slice(0, 100), 'must be a time as 2026-01-31T12:00:00Z'));
  return Number.isNaN(at) ? undefined : at;
}

/** What is kept as it was sent: what says how the token is bound follows from the token, and no annotation repeats its secret. */
function ownAnnotations({ metadata }: PlainDraft, causes: FieldCause[]): Record<string, string> {
  const known: readonly string[] = Object.values(binding);
  const kept: [string, string][] = [];
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    if (key === lastApplied) kept.push(...withoutSecret(value));
    else if (key === binding.addresses || key === binding.dnsNames || !reserved.test(key)) kept.push([key, value]);
    else if (!known.includes(key)) causes.push(notSupported('metadata.annotations', key, known));
  }
  return Object.fromEntries(kept);
}

function withoutSecret(text: string): [string, string][] {
  try {
    const applied = JSON.parse(text) as { data?: Record<string, unknown>; stringData?: Record<string, unknown> };
    for (const texts of [applied.data, applied.stringData]) if (texts !== undefined) delete texts['token-secret'];
    return [[lastApplied, `${JSON.stringify(applied)}\n`]];
  } catch {
    return [];
  }
}

type Bound = Pick<TokenDraft, 'node' | 'etcdMember' | 'controlPlane'>;

function boundBy(annotations: Readonly<Record<string, string>>, causes: FieldCause[]): Bound {
  const { [binding.node]: node, [binding.etcdMember]: member, [binding.controlPlane]: controlPlane } = annotations;
  const listed = (key: string): string[] =>
    (annotations[key] ?? '')
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '');
  const reusable = annotations[binding.reusable];
  if (reusable !== undefined && reusable !== 'true')
    causes.push(notSupported(`metadata.annotations[${binding.reusable}]`, reusable, ['true']));
  for (const key of [binding.addresses, binding.dnsNames]) {
    if (annotations[key] !== undefined && node === undefined)
      causes.push(forbidden(`metadata.annotations[${key}]`, `belongs to ${binding.node}, which is not there`));
  }
  const [cluster = '', name = '', ...more] = member?.split('/') ?? [];
  if (member !== undefined && (cluster === '' || name === '' || more.length > 0))
    causes.push(invalidValue(`metadata.annotations[${binding.etcdMember}]`, member, 'must be CLUSTER/NAME'));
  return {
    ...(node === undefined
      ? {}
      : { node: { name: node, addresses: listed(binding.addresses), dnsNames: listed(binding.dnsNames) } }),
    ...(member === undefined ? {} : { etcdMember: { cluster, name } }),
    ...(controlPlane === undefined ? {} : { controlPlane }),
  };
}

const fieldNames: readonly (readonly [RegExp, string])[] = [
  [/^(expiresAt|ttlMs)$/, 'data[expiration]'],
  [/^groups(\[\d+\])?$/, 'data[auth-extra-groups]'],
  [/^description$/, 'data[description]'],
  [/^usages$/, 'data'],
  [/^token$/, 'data[token-secret]'],
  [/^secret$/, 'data[token-secret]'],
  [/^reusable$/, `metadata.annotations[${binding.reusable}]`],
  [/^controlPlane$/, `metadata.annotations[${binding.controlPlane}]`],
  [/^addresses/, `metadata.annotations[${binding.addresses}]`],
  [/^dnsNames/, `metadata.annotations[${binding.dnsNames}]`],
  [/^(node|name)/, `metadata.annotations[${binding.node}]`],
];

/** The rules for tokens speak of tokens: their causes with the fields of the Secret. */
export async function inSecretTerms<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RotundaError) || error.code !== 'invalid' || error.details.causes === undefined) throw error;
    const causes = error.details.causes.map((cause) => {
      const field = fieldNames.find(([pattern]) => pattern.test(cause.field ?? ''))?.[1];
      return field === undefined ? cause : { ...cause, field };
    });
    throw invalid(causes, error.details.object);
  }
}

/** What a Secret that no token can be is refused with. */
export function noToken({ metadata }: PlainDraft | PlainObject): RotundaError {
  return new RotundaError(
    'forbidden',
    `the only Secrets here are bootstrap tokens: bootstrap-token-<id> of the type ${secretType} in kube-system, not ${JSON.stringify(`${metadata.namespace ?? ''}/${metadata.name}`)}`,
  );
}
