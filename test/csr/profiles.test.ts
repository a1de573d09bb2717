import { describe, expect, it } from 'vitest';

import { buildProfile, builtInProfiles, profileConfigSchema } from '../../src/csr/profiles.js';
import { topology } from '../identity/rooms.js';

const dayMs = 86_400_000;
const raw = { signerName: 'example.com/web', ring: 'kubernetesServer', usages: { required: ['server auth'] } };

describe('built-in profiles', () => {
  it('are one per signer name, on the rings of the topology', () => {
    const split = {
      ...topology,
      kubernetesServer: 'servers',
      etcdPeer: 'peers',
      etcdServer: 'etcd-servers',
      etcdClient: 'etcd-clients',
    };
    const rings = new Map(builtInProfiles(split, 'rotunda').map((profile) => [profile.signerName, profile.ring]));
    expect(rings.size).toBe(builtInProfiles(split, 'rotunda').length);
    expect(Object.fromEntries(rings)).toMatchObject({
      'kubernetes.io/kube-apiserver-client': 'kubernetes',
      'kubernetes.io/kube-apiserver-client-kubelet': 'kubernetes',
      'kubernetes.io/kubelet-serving': 'servers',
      'etcd.rotunda.dev/peer': 'peers',
      'etcd.rotunda.dev/server': 'etcd-servers',
      'etcd.rotunda.dev/client': 'etcd-clients',
      'kubeadm.rotunda.dev/apiserver': 'servers',
      'kubeadm.rotunda.dev/front-proxy-client': 'front-proxy',
      'kubeadm.rotunda.dev/apiserver-etcd-client': 'etcd-clients',
      'rotunda.dev/client': 'rotunda',
    });
    expect([...rings.keys()].filter((name) => name.startsWith('kubeadm.'))).toHaveLength(11);
  });

  it('live as long as their class, or as upstream', () => {
    const days = (lifetimes: 'rotunda' | 'upstream') =>
      new Set(builtInProfiles(topology, lifetimes).map((p) => p.lifetime.standard / dayMs));
    expect(days('rotunda')).toEqual(new Set([30, 90]));
    expect(days('upstream')).toEqual(new Set([365]));
  });
});

describe('configured profiles', () => {
  it('fill in what is left out', () => {
    expect(buildProfile(profileConfigSchema.parse(raw), topology)).toEqual({
      signerName: 'example.com/web',
      ring: 'kubernetes',
      description: 'Configured profile example.com/web',
      approval: 'person',
      names: { dns: false, ip: false, email: false, uri: false, atLeastOne: false },
      usages: { required: ['server auth'], optional: [] },
      lifetime: { standard: 30 * dayMs, longest: 365 * dayMs },
    });
  });

  it.each([
    [{ signerName: 'example' }, 'must be a fully qualified domain and path'],
    [{ usages: { required: ['any'] } }, 'is never given to a leaf'],
    [{ usages: { required: ['fly'] } }, 'must be one of'],
    [{ organizations: ['rotunda:admins'] }, 'make administrators of this service'],
    [{ commonName: { exact: 'a', prefix: 'b' } }, 'must have exactly one of exact and prefix'],
    [{ lifetime: { longest: 'soon' } }, 'must be a positive duration'],
  ])('refuse %j', (change, message) => {
    const parsed = profileConfigSchema.safeParse({ ...raw, ...change });
    expect(parsed.error?.issues.map((issue) => issue.message).join('\n')).toContain(message);
  });
});
