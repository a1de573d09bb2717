import { invalidValue } from '../../../csr/causes.js';
import { invalid, RotundaError } from '../../../errors.js';
import type { Identity, LiveToken } from '../../../identity/types.js';
import { tokenOf } from '../../../identity/token-records.js';
import { tokenChanges, type TokenRecord } from '../../../store/queries/tokens.js';
import type { Change } from '../../../store/types.js';
import type { Api } from '../call.js';
import { secret } from '../codec/schema.js';
import { ageOf } from '../human-duration.js';
import type {
  ObjectKey,
  Page,
  PageQuery,
  PlainDraft,
  PlainObject,
  ResourceBackend,
  ResourceKind,
  WatchEvent,
  WriteHow,
} from '../resources/types.js';
import { column } from '../table.js';
import { secretNamespace, secretOf, tokenIdOf } from './token-secret.js';
import { inSecretTerms, newToken, noToken, tokenChange } from './token-secret-draft.js';

/** `kube-system/bootstrap-token-<id>`: bootstrap tokens as kubeadm and kubectl know them. There are no other Secrets. */
export const secrets: ResourceKind = {
  group: '',
  version: 'v1',
  resource: 'secrets',
  singular: 'secret',
  kind: 'Secret',
  namespaced: true,
  verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
  shape: secret,
  package: 'io.k8s.api.core.v1',
  description:
    'A bootstrap token, as the Secret bootstrap-token-<id> of the type bootstrap.kubernetes.io/token in kube-system. This service keeps no other Secrets.',
  descriptions: {
    data: 'token-id, token-secret, expiration (RFC 3339), description, usage-bootstrap-authentication, usage-bootstrap-signing ("true") and auth-extra-groups (comma-separated), in base64.',
    stringData: 'The same as plain text, for writing only; wins over data.',
    type: 'bootstrap.kubernetes.io/token.',
    immutable: 'Not supported: a token can always be revoked.',
  },
  columns: [
    column('Name', 'bootstrap-token-<id>', 'name'),
    column('Type', 'The type of the Secret.'),
    column('Data', 'How many keys its data has.'),
    column('Age', 'Time since the token was made.'),
  ],
  cells: ({ metadata, type, data }, now) => [
    metadata.name,
    type,
    Object.keys(data ?? {}).length,
    ageOf(metadata.creationTimestamp, now),
  ],
  fields: { type: ({ type }) => (typeof type === 'string' ? type : '') },
  open: backendOf,
};

function backendOf(api: Api, identity: Identity): ResourceBackend {
  const { tokens } = api;
  const shown = ({ token, secret: kept }: LiveToken): PlainObject =>
    secretOf(token, maySee(identity, token.kind) ? kept : undefined);
  return {
    get: async (key) => {
      const id = idOf(key);
      const found = id === undefined ? undefined : await tokens.liveOne(id);
      return found === undefined ? undefined : shown(found);
    },
    list: (query) => list(api, shown, query),
    create: (draft, how) => create(api, identity, draft, how),
    update: async (key, change, how) => {
      const decide = (current: LiveToken) => tokenChange(change(shown(current)), current);
      return shown(await inSecretTerms(() => tokens.change(requiredId(key), decide, identity, how)));
    },
    delete: async (key, check, how) => {
      const seen = (current: LiveToken): void => {
        check(shown(current));
      };
      return shown(await tokens.end(requiredId(key), seen, identity, how));
    },
    changes: {
      resource: tokenChanges,
      nameOf: ({ namespace, name }) => idOf({ namespace, name }) ?? '',
      eventsOf: (change, namespace) => eventsOf(api, shown, change, namespace),
    },
  };
}

type Shown = (live: LiveToken) => PlainObject;

/** The secret of a control-plane token gives the cluster away: who may not make such a token does not see it. */
function maySee({ kind, roles }: Identity, token: LiveToken['token']['kind']): boolean {
  return token !== 'control-plane' || kind === 'internal' || roles.includes('admin');
}

function idOf({ namespace, name }: ObjectKey): string | undefined {
  return namespace === secretNamespace ? tokenIdOf(name) : undefined;
}

function requiredId(key: ObjectKey): string {
  const id = idOf(key);
  if (id === undefined) throw new RotundaError('not-found', `there is no Secret ${JSON.stringify(key.name)}`);
  return id;
}

async function list({ tokens, store }: Api, shown: Shown, { namespace, after, limit }: PageQuery): Promise<Page> {
  // Read first: what is made in between is in the list, and shown again by a watch from there.
  const revision = await store.revision();
  if (namespace !== undefined && namespace !== secretNamespace) return { items: [], revision };
  const all = (await tokens.live()).map(shown);
  const behind = after === undefined ? all : all.filter(({ metadata }) => metadata.name > after.name);
  return { items: behind.slice(0, limit), revision };
}

async function create({ tokens }: Api, identity: Identity, draft: PlainDraft, how: WriteHow): Promise<PlainObject> {
  const { namespace, name } = draft.metadata;
  if (namespace !== secretNamespace) throw noToken(draft);
  const wanted = newToken(draft);
  try {
    const { token, secret: text } = await inSecretTerms(() => tokens.create(wanted, identity, how));
    return secretOf(token, token.usages.includes('signing') ? text : undefined);
  } catch (error) {
    const taken = error instanceof RotundaError && error.code === 'already-exists';
    const id = tokenIdOf(name);
    if (!taken || id === undefined || (await tokens.liveOne(id)) !== undefined) throw error;
    // Certificates and the audit log name tokens by id, so one that has ended is not forgotten.
    throw invalid([invalidValue('data[token-id]', id, 'a token of this id has ended; choose another id')]);
  }
}

/** The log holds no secret: what a new or changed token keeps is looked up when it is shown. */
async function eventsOf(
  { tokens, clock }: Api,
  shown: Shown,
  { type, name, object, previous }: Change,
  namespace: string | undefined,
): Promise<WatchEvent[]> {
  if (namespace !== undefined && namespace !== secretNamespace) return [];
  const recorded = (text: string): PlainObject => {
    const token = tokenOf(JSON.parse(text) as TokenRecord, clock.now().getTime());
    return shown({ token, secret: kept?.secret });
  };
  const kept = type === 'DELETED' ? undefined : await tokens.liveOne(name);
  const before = previous === undefined ? {} : { previous: recorded(previous) };
  return [{ type, object: recorded(object), ...before }];
}
