import { isIPv6 } from 'node:net';

import type { ClusterObject } from './client.js';
import type { Backend, ServiceReference } from './types.js';

export const managedBy = { 'app.kubernetes.io/managed-by': 'rotunda' };
/** The API server keeps its own APIService objects up by this label; without it, the object is whoever's wrote it. */
const automanagedLabel = 'kube-aggregator.kubernetes.io/automanaged';
export const certificatesApiService = 'v1.certificates.k8s.io';
/** A group of no meaning that Rotunda serves, so that the way from the API server can be tried before it is relied on. */
export const probeGroup = 'attach.rotunda.dev';
export const probeApiService = `v1.${probeGroup}`;
/** The user that the running service is towards the API server. No certificate gives this name towards the service itself. */
export const serviceUser = 'system:rotunda';
const roleName = 'rotunda:attached';

/** The built-in object's own priorities, so that handing over and giving back leave the order of groups as it is. */
const priorities = { groupPriorityMinimum: 17_300, versionPriority: 15 };

/** The name that the API server checks the serving certificate for. */
export function servingNameOf({ name, namespace }: Pick<ServiceReference, 'name' | 'namespace'>): string {
  return `${name}.${namespace}.svc`;
}

/** The Service and, for addresses, its EndpointSlices (one for each address family). */
export function serviceManifests(service: ServiceReference, backend: Backend): ClusterObject[] {
  const { name, namespace, port } = service;
  const ports = [{ name: 'https', port, protocol: 'TCP', targetPort: port }];
  const metadata = { name, namespace, labels: managedBy };
  const spec =
    backend.kind === 'external-name'
      ? { type: 'ExternalName', externalName: backend.host, ports }
      : { type: 'ClusterIP', ports, ...(backend.kind === 'selector' ? { selector: backend.labels } : {}) };
  const object = { apiVersion: 'v1', kind: 'Service', metadata, spec };
  return backend.kind === 'endpoints' ? [object, ...endpointSlices(service, backend.addresses)] : [object];
}

function endpointSlices({ name, namespace, port }: ServiceReference, addresses: readonly string[]): ClusterObject[] {
  const families = [
    ['IPv4', addresses.filter((address) => !isIPv6(address))],
    ['IPv6', addresses.filter((address) => isIPv6(address))],
  ] as const;
  return families
    .filter(([, list]) => list.length > 0)
    .map(([addressType, list]) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `${name}-${addressType.toLowerCase()}`,
        namespace,
        labels: {
          ...managedBy,
          'kubernetes.io/service-name': name,
          'endpointslice.kubernetes.io/managed-by': 'rotunda.dev',
        },
      },
      addressType,
      ports: [{ name: 'https', port, protocol: 'TCP' }],
      endpoints: list.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    }));
}

/** An APIService that hands `group` to the service. Not automanaged, so that the API server lets it be. */
export function apiServiceManifest(group: string, service: ServiceReference, bundlePem: string): ClusterObject {
  const { name, namespace, port } = service;
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    // An empty value, because kubectl apply takes away no label that it has not made.
    metadata: { name: `v1.${group}`, labels: group === probeGroup ? managedBy : { [automanagedLabel]: '' } },
    spec: {
      group,
      version: 'v1',
      ...(group === probeGroup ? { groupPriorityMinimum: 100, versionPriority: 1 } : priorities),
      service: { name, namespace, port },
      caBundle: Buffer.from(bundlePem).toString('base64'),
    },
  } as ClusterObject;
}

/** A merge patch that hands over, whatever the object was before. */
export function handOverPatch(service: ServiceReference, bundlePem: string): unknown {
  const { name, namespace, port } = service;
  return {
    metadata: { labels: { [automanagedLabel]: null } },
    spec: {
      service: { name, namespace, port },
      caBundle: Buffer.from(bundlePem).toString('base64'),
      insecureSkipTLSVerify: null,
    },
  };
}

/** The merge patch that gives the group back; also for kubectl, while nothing of Rotunda runs. */
export const giveBackPatch = {
  metadata: { labels: { [automanagedLabel]: 'onstart' } },
  spec: { service: null, caBundle: null },
};

export const giveBackCommand = `kubectl patch apiservice ${certificatesApiService} --type=merge -p '${JSON.stringify(giveBackPatch)}'`;

/** What the running service may do on the API server, and nothing beyond. */
export function accessManifests(): ClusterObject[] {
  const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: serviceUser }];
  const rbac = (kind: string, metadata: ClusterObject['metadata'], rest: object): ClusterObject => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind,
    metadata: { ...metadata, labels: managedBy },
    ...rest,
  });
  const roleRef = (kind: string, name: string): object => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name });
  const namespace = 'kube-system';
  const apiservices = { apiGroups: ['apiregistration.k8s.io'], resources: ['apiservices'] };
  return [
    rbac(
      'ClusterRole',
      { name: roleName },
      {
        rules: [
          // The sink of the ring's bundle: this one object.
          { ...apiservices, resourceNames: [certificatesApiService], verbs: ['get', 'patch'] },
          { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
        ],
      },
    ),
    rbac('ClusterRoleBinding', { name: roleName }, { roleRef: roleRef('ClusterRole', roleName), subjects }),
    rbac(
      'Role',
      { name: roleName, namespace },
      {
        // Without reading: it deletes what it made by uid, and never learns what other Secrets hold.
        rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['create', 'delete'] }],
      },
    ),
    rbac('RoleBinding', { name: roleName, namespace }, { roleRef: roleRef('Role', roleName), subjects }),
    // Which front proxies to believe: a role that every cluster has.
    rbac(
      'RoleBinding',
      { name: `${roleName}-authentication-reader`, namespace },
      { roleRef: roleRef('Role', 'extension-apiserver-authentication-reader'), subjects },
    ),
  ];
}

/** Where an object of these manifests is, and the collection that it is created in. */
export function pathsOf(object: ClusterObject): { readonly collection: string; readonly item: string } {
  const root = object.apiVersion === 'v1' ? '/api/v1' : `/apis/${object.apiVersion ?? ''}`;
  const { name, namespace } = object.metadata;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  const collection = `${root}${scope}/${plurals[object.kind ?? ''] ?? ''}`;
  return { collection, item: `${collection}/${encodeURIComponent(name)}` };
}

const plurals: Readonly<Record<string, string>> = {
  Service: 'services',
  EndpointSlice: 'endpointslices',
  APIService: 'apiservices',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  Secret: 'secrets',
};
