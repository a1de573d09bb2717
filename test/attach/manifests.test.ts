import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

import {
  accessManifests,
  apiServiceManifest,
  giveBackCommand,
  handOverPatch,
  pathsOf,
  serviceManifests,
  servingNameOf,
} from '../../src/attach/manifests.js';

const service = { name: 'pki', namespace: 'security', port: 8443 };

describe('the manifests that hand the group over', () => {
  it('names the host for a service outside of the cluster', () => {
    const [object, ...rest] = serviceManifests(service, { kind: 'external-name', host: 'pki.example.org' });
    expect(rest).toEqual([]);
    expect(object).toMatchObject({
      kind: 'Service',
      metadata: { name: 'pki', namespace: 'security' },
      spec: { type: 'ExternalName', externalName: 'pki.example.org', ports: [{ port: 8443 }] },
    });
  });

  it('lists addresses in a slice for each family, and gives the Service no selector', () => {
    const backend = { kind: 'endpoints', addresses: ['10.0.0.5', 'fd00::5', '10.0.0.6'] } as const;
    const [object, ...slices] = serviceManifests(service, backend);
    expect(object).not.toHaveProperty('spec.selector');
    expect(slices).toMatchObject([
      {
        metadata: { name: 'pki-ipv4', labels: { 'kubernetes.io/service-name': 'pki' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['10.0.0.5'] }, { addresses: ['10.0.0.6'] }],
      },
      { metadata: { name: 'pki-ipv6' }, addressType: 'IPv6', endpoints: [{ addresses: ['fd00::5'] }] },
    ]);
  });

  it('selects pods', () => {
    const [object] = serviceManifests(service, { kind: 'selector', labels: { app: 'rotunda' } });
    expect(object).toMatchObject({ spec: { type: 'ClusterIP', selector: { app: 'rotunda' } } });
  });

  it('takes the label away by which the API server would take the group back', () => {
    const object = apiServiceManifest('certificates.k8s.io', service, 'PEM');
    expect(object.metadata).toEqual({
      name: 'v1.certificates.k8s.io',
      labels: { 'kube-aggregator.kubernetes.io/automanaged': '' },
    });
    expect(object).toMatchObject({
      spec: { group: 'certificates.k8s.io', version: 'v1', service, caBundle: Buffer.from('PEM').toString('base64') },
    });
    expect(handOverPatch(service, 'PEM')).toMatchObject({
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': null } },
    });
    expect(giveBackCommand).toContain('"kube-aggregator.kubernetes.io/automanaged":"onstart"');
  });

  it('gives the running service no more than it needs', () => {
    const rules = accessManifests().flatMap((object) =>
      'rules' in object ? (object.rules as { verbs: string[] }[]) : [],
    );
    expect(rules).toEqual([
      {
        apiGroups: ['apiregistration.k8s.io'],
        resources: ['apiservices'],
        resourceNames: ['v1.certificates.k8s.io'],
        verbs: ['get', 'patch'],
      },
      { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
      { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'delete'] },
    ]);
  });

  it('knows where each object lives', () => {
    const [object, slice] = serviceManifests(service, { kind: 'endpoints', addresses: ['10.0.0.5'] });
    expect(object && pathsOf(object).item).toBe('/api/v1/namespaces/security/services/pki');
    expect(slice && pathsOf(slice).collection).toBe('/apis/discovery.k8s.io/v1/namespaces/security/endpointslices');
    expect(pathsOf(apiServiceManifest('certificates.k8s.io', service, '')).item).toBe(
      '/apis/apiregistration.k8s.io/v1/apiservices/v1.certificates.k8s.io',
    );
    for (const access of accessManifests())
      expect(pathsOf(access).collection).toMatch(/\/rbac\.authorization\.k8s\.io\/v1\/.*[a-z]$/);
  });

  it('names the serving certificate as the API server checks it', () => {
    expect(servingNameOf(service)).toBe('pki.security.svc');
  });

  it.each([
    ['attach-external-name.yaml', { kind: 'external-name', host: 'pki.example.org' }],
    ['attach-endpoints.yaml', { kind: 'endpoints', addresses: ['10.0.0.5', '10.0.0.6'] }],
  ] as const)('are in deploy/kubernetes/%s', (file, backend) => {
    const kubeSystem = { name: 'rotunda', namespace: 'kube-system', port: 8443 };
    const objects = [
      ...serviceManifests(kubeSystem, backend),
      ...accessManifests(),
      apiServiceManifest('certificates.k8s.io', kubeSystem, ''),
    ];
    const text = readFileSync(new URL(`../../deploy/kubernetes/${file}`, import.meta.url), 'utf8');
    expect(parseAllDocuments(text).map((document) => document.toJS() as unknown)).toEqual(objects);
  });
});
