import { plainKinds } from '../resources/registry.js';
import type { ResourceKind } from '../resources/types.js';

/** What the API says it has. Groups whose server is not Rotunda are not listed. */

type ResourceInfo = {
  readonly name: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly subresources?: readonly { readonly name: string; readonly verbs: readonly string[] }[];
};

export type GroupInfo = {
  readonly name: string;
  readonly version: string;
  readonly resources: readonly ResourceInfo[];
};

const review = (name: string, kind: string): ResourceInfo => ({
  name,
  singular: kind.toLowerCase(),
  namespaced: false,
  kind,
  verbs: ['create'],
});
const changeVerbs = ['get', 'patch', 'update'];

function infoOf({ resource, singular, namespaced, kind, verbs, shortNames }: ResourceKind): ResourceInfo {
  const info = { name: resource, singular, namespaced, kind, verbs };
  return shortNames === undefined ? info : { ...info, shortNames };
}

function plainOf(group: string): ResourceInfo[] {
  return plainKinds.filter((kind) => kind.group === group).map(infoOf);
}

/** Groups that hold nothing but plain objects. */
const plainGroups: readonly GroupInfo[] = [...new Set(plainKinds.map(({ group }) => group))]
  .filter((name) => name !== '')
  .map((name) => ({ name, version: 'v1', resources: plainOf(name) }));

export const coreGroup: GroupInfo = {
  name: '',
  version: 'v1',
  resources: [
    ...plainOf(''),
    { name: 'events', singular: 'event', namespaced: true, kind: 'Event', verbs: ['list'], shortNames: ['ev'] },
  ],
};

export const groups: readonly GroupInfo[] = [
  { name: 'authentication.k8s.io', version: 'v1', resources: [review('selfsubjectreviews', 'SelfSubjectReview')] },
  {
    name: 'authorization.k8s.io',
    version: 'v1',
    resources: [
      review('selfsubjectaccessreviews', 'SelfSubjectAccessReview'),
      review('selfsubjectrulesreviews', 'SelfSubjectRulesReview'),
      review('subjectaccessreviews', 'SubjectAccessReview'),
    ],
  },
  {
    name: 'certificates.k8s.io',
    version: 'v1',
    resources: [
      {
        name: 'certificatesigningrequests',
        singular: 'certificatesigningrequest',
        namespaced: false,
        kind: 'CertificateSigningRequest',
        verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
        shortNames: ['csr'],
        subresources: [
          { name: 'approval', verbs: changeVerbs },
          { name: 'status', verbs: changeVerbs },
        ],
      },
    ],
  },
  ...plainGroups,
];

/** `GET /apis/<group>`; as an item of a list without kind and apiVersion. */
export function apiGroup(group: GroupInfo, asItem: boolean): unknown {
  const version = { groupVersion: `${group.name}/${group.version}`, version: group.version };
  return {
    ...(asItem ? {} : { kind: 'APIGroup', apiVersion: 'v1' }),
    name: group.name,
    versions: [version],
    preferredVersion: version,
  };
}

/** `GET /apis`. */
export function apiGroupList(): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => apiGroup(group, true)) };
}

/** `GET /api`. */
export function apiVersions(serverAddress: string): unknown {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** `GET /apis/<group>/<version>` and `GET /api/v1`. */
export function apiResourceList(group: GroupInfo): unknown {
  const resources = group.resources.flatMap(({ name, singular, namespaced, kind, verbs, shortNames, subresources }) => [
    { name, singularName: singular, namespaced, kind, verbs, ...(shortNames === undefined ? {} : { shortNames }) },
    ...(subresources ?? []).map((sub) => ({
      name: `${name}/${sub.name}`,
      singularName: '',
      namespaced,
      kind,
      verbs: sub.verbs,
    })),
  ]);
  const groupVersion = group.name === '' ? group.version : `${group.name}/${group.version}`;
  return { kind: 'APIResourceList', ...(group.name === '' ? {} : { apiVersion: 'v1' }), groupVersion, resources };
}

/** Aggregated discovery: everything below `/api` or `/apis` in one document. */
export function aggregated(of: readonly GroupInfo[], version: 'v2' | 'v2beta1'): unknown {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: of.map((group) => ({
      metadata: { ...(group.name === '' ? {} : { name: group.name }), creationTimestamp: null },
      versions: [
        {
          version: group.version,
          resources: group.resources.map((one) => discovered(one, group)),
          freshness: 'Current',
        },
      ],
    })),
  };
}

function discovered(resource: ResourceInfo, group: GroupInfo): unknown {
  const responseKind = { group: group.name, version: group.version, kind: resource.kind };
  return {
    resource: resource.name,
    responseKind,
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames === undefined ? {} : { shortNames: resource.shortNames }),
    ...(resource.subresources === undefined
      ? {}
      : {
          subresources: resource.subresources.map((sub) => ({ subresource: sub.name, responseKind, verbs: sub.verbs })),
        }),
  };
}

/** The Kubernetes release whose behaviour this surface has. */
export const version = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.3+rotunda',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
