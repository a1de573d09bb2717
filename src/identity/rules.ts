import { kubeadmNodeGroup } from './token-format.js';
import type { Attributes, Identity, Role } from './types.js';

export type ResourceAttributes = Exclude<Attributes, { path: string }>;

type ResourceRule = {
  readonly verbs?: readonly string[];
  readonly group: string;
  /** `name`, or `name/subresource`. */
  readonly resources?: readonly string[];
  readonly when?: (attributes: ResourceAttributes, identity: Identity) => boolean;
};

/** What one role may do. A rule without verbs, resources or paths allows any. */
export type Rule =
  | ResourceRule
  | {
      readonly verbs: readonly string[];
      /** Exact, or with a `*` at the end. */
      readonly paths: readonly string[];
    };

const certificates = 'certificates.k8s.io';
const native = 'rotunda.dev';
const csr = 'certificatesigningrequests';
const read = ['get', 'list', 'watch'];
const change = ['create', 'update', 'patch', 'delete', 'deletecollection'];

const discoveryPaths = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/openapi',
  '/openapi/*',
  '/version',
  '/version/',
  '/healthz',
  '/livez',
  '/readyz',
];
/** kubeadm and load balancers ask without a credential; upstream's role is system:public-info-viewer. */
const publicPaths = ['/version', '/version/', '/healthz', '/livez', '/readyz'];

/** What anybody may fetch: the anchors, which are public. */
const publicBundles: Rule = {
  verbs: read,
  group: native,
  resources: ['bundles', 'rings/bundle', 'rings/bundles', 'keysets/jwks', 'keysets/pem'],
};

/** When certificates are to be renewed, as an ACME server tells anybody (RFC 9773, 4.1). */
const publicRenewals: Rule = { verbs: read, group: native, resources: ['renewalinfo', 'renewalrules'] };

const clusterInfo: Rule = {
  verbs: ['get'],
  group: '',
  resources: ['configmaps'],
  when: ({ namespace, name }) => namespace === 'kube-public' && name === 'cluster-info',
};

/** kubeadm's roles `kubeadm:nodes-kubeadm-config` and `kubeadm:kubelet-config`: what a join reads. */
const joinConfig: ResourceRule = {
  verbs: ['get'],
  group: '',
  resources: ['configmaps'],
  when: ({ namespace, name }) =>
    namespace === 'kube-system' && (name === 'kubeadm-config' || name === 'kubelet-config'),
};

/** Upstream gives it to every pod; it holds public anchors. */
const rootCa: Rule = {
  verbs: ['get'],
  group: '',
  resources: ['configmaps'],
  when: ({ namespace, name }) => namespace !== undefined && name === 'kube-root-ca.crt',
};

/** A bound token serves its node, as kubeadm's group of tokens serves any: both join. */
function isJoining(_attributes: ResourceAttributes, { groups, token }: Identity): boolean {
  return token?.kind === 'node' || groups.includes(kubeadmNodeGroup);
}

/** Signers of etcd's, the control plane's and the service's own profiles: `[<something>.]rotunda.dev/<profile>`. */
export function isRotundaSigner({ name }: Pick<ResourceAttributes, 'name'>): boolean {
  return /(^|\.)rotunda\.dev(\/|$)/.test(name ?? '*.rotunda.dev') || name === '*';
}

function isEtcdSigner({ name }: ResourceAttributes): boolean {
  return name?.startsWith('etcd.rotunda.dev/') ?? false;
}

/** What consumers say of themselves; whether one is the caller's own is for the room that keeps them. */
const consumerReports = {
  verbs: ['create'],
  group: native,
  resources: ['consumers/heartbeat', 'consumers/acknowledgements'],
} as const;

/** Creating requests and looking for what became of them, as a kubelet does. Requests hold no secrets. */
const requester: readonly Rule[] = [{ verbs: ['create', ...read], group: certificates, resources: [csr] }];

/** Role rules, the only place that says who may do what. */
export const rules: Readonly<Record<Role, readonly Rule[]>> = {
  /** May do anything; `authorize` does not ask. */
  admin: [],
  /**
   * Runs the fleet: enrolment, tokens, requests, revocation; stops a rotation and lets it go on. Not rings and
   * authorities: starting a rotation, letting it leave a state and rolling it back are the administrator's; not requests under the control
   * plane's and the service's own profiles, and (in the rooms concerned) neither control-plane tokens nor the etcd user
   * root nor the cluster's own users and groups (`system:*`, kubeadm:cluster-admins): with each of these an operator
   * could give out more than an operator has.
   */
  operator: [
    { verbs: read, group: native },
    {
      verbs: change,
      group: native,
      resources: [
        'requests',
        'requests/approval',
        'nodes',
        'nodes/disable',
        'nodes/enable',
        'nodes/replace',
        'tokens',
        'tokens/revoke',
        'certificates/revoke',
        'certificates/supersede',
        'rotations/pause',
        'rotations/resume',
        'etcdclusters',
        'etcdmembers',
        'etcdclusters/members',
        'consumers',
        'consumers/heartbeat',
        'consumers/acknowledgements',
        'consumers/quarantine',
        'consumers/unquarantine',
        'attestations',
      ],
    },
    { verbs: [...read, ...change], group: certificates, resources: [csr, `${csr}/approval`, `${csr}/status`] },
    {
      verbs: ['approve', 'sign'],
      group: certificates,
      resources: ['signers'],
      when: (asked) => !isRotundaSigner(asked) || isEtcdSigner(asked),
    },
    { verbs: read, group: '', resources: ['events', 'configmaps'] },
    { verbs: read, group: 'events.k8s.io', resources: ['events'] },
    // Bootstrap tokens in kubeadm's form: the same power as over tokens.
    {
      verbs: [...read, ...change],
      group: '',
      resources: ['secrets'],
      when: ({ namespace, verb }) => namespace === 'kube-system' || (namespace === undefined && read.includes(verb)),
    },
    { verbs: ['get', 'head'], paths: ['*'] },
  ],
  /** Reads everything that is not a secret. */
  viewer: [
    { verbs: read, group: native },
    { verbs: read, group: certificates },
    { verbs: read, group: '', resources: ['events', 'configmaps', 'nodes'] },
    { verbs: read, group: 'events.k8s.io', resources: ['events'] },
    { verbs: ['get', 'head'], paths: ['*'] },
  ],
  /** `system:masters`: certificates.k8s.io and what kubectl needs around it. Never rotunda.dev, nor signers of other rings. */
  'cluster-admin': [
    { group: certificates, when: (asked) => asked.resource !== 'signers' || !isRotundaSigner(asked) },
    { group: 'authentication.k8s.io' },
    { group: 'authorization.k8s.io' },
    { group: '', resources: ['events'] },
    { group: 'events.k8s.io', resources: ['events'] },
    { verbs: read, group: '', resources: ['configmaps'] },
    { verbs: ['get', 'head'], paths: ['*'] },
  ],
  node: [
    ...requester,
    joinConfig,
    { verbs: ['create'], group: certificates, resources: [`${csr}/selfnodeclient`] },
    // As upstream's node authorizer: itself, also in a list or watch of that one name.
    { verbs: read, group: '', resources: ['nodes'], when: ({ name }, { node }) => name !== undefined && name === node },
    { ...consumerReports, when: ({ name }, { node }) => node !== undefined && name?.endsWith(`/${node}`) === true },
  ],
  bootstrapper: [
    ...requester,
    { ...joinConfig, when: (asked, who) => isJoining(asked, who) && (joinConfig.when?.(asked, who) ?? false) },
    // kubeadm's role `kubeadm:get-nodes`: a join looks whether there is a node of its name.
    { verbs: ['get'], group: '', resources: ['nodes'], when: isJoining },
    {
      verbs: ['create'],
      group: certificates,
      resources: [`${csr}/nodeclient`],
      // A bound token may make its own node; that it is its own is for the rules of the profile.
      when: isJoining,
    },
  ],
  /**
   * What an API server's own authorization has let through to this service: the group that it hands over, and nothing
   * beside. Approving and signing is asked about by signer.
   */
  proxied: [{ verbs: [...read, ...change], group: certificates, resources: [csr, `${csr}/approval`, `${csr}/status`] }],
  'proxied-admin': [
    {
      verbs: ['approve', 'sign'],
      group: certificates,
      resources: ['signers'],
      when: (asked) => !isRotundaSigner(asked),
    },
  ],
  /** Its own requests are told apart by name only: whoever knows the name made it or was told. */
  member: [
    { verbs: ['create', 'get'], group: certificates, resources: [csr] },
    {
      ...consumerReports,
      when: ({ name }, { member }) => member !== undefined && name === `etcd-member/${member.cluster}/${member.name}`,
    },
  ],
  authenticated: [
    { verbs: ['create'], group: 'authentication.k8s.io', resources: ['selfsubjectreviews'] },
    {
      verbs: ['create'],
      group: 'authorization.k8s.io',
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    },
    { verbs: ['get'], paths: discoveryPaths },
    publicBundles,
    publicRenewals,
    rootCa,
  ],
  /** Nothing: the one call that such an identity is made for lets it through by itself. */
  graced: [],
  /** Upstream binds cluster-info to the user system:anonymous and to nobody else: with any other credential it is refused. */
  anonymous: [clusterInfo, { verbs: ['get'], paths: publicPaths }, publicBundles, publicRenewals],
};
