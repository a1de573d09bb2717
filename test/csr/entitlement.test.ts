import { expect, it } from 'vitest';

import { builtInProfiles } from '../../src/csr/profiles.js';
import type { Profile } from '../../src/csr/types.js';
import type { Identity } from '../../src/identity/types.js';
import { admin, operator, topology } from '../identity/rooms.js';
import type { CsrContent } from '../support/pkcs10.js';
import { describeEachStore } from '../support/stores.js';
import { named } from './rule-rows.js';
import {
  administrator,
  apiserverClient,
  authenticated,
  draft,
  identity,
  kubeletClient,
  memberIdentity,
  nodeIdentity,
  nodeSubject,
  type Service,
  startService,
  stored,
} from './support.js';

const etcdClient = 'etcd.rotunda.dev/client';
const clusterAdmin = identity({
  username: 'kubernetes-super-admin',
  groups: ['system:masters', 'system:authenticated'],
  ring: 'kubernetes',
  roles: ['cluster-admin', 'authenticated'],
});
const clientAuth = { usages: ['client auth'] };
const custom = (signerName: string, ring: string): Profile => ({
  signerName,
  ring,
  description: 'configured',
  approval: 'person',
  names: { dns: true, ip: true, email: false, uri: false, atLeastOne: false },
  usages: { required: ['client auth'], optional: [] },
  lifetime: { standard: 3_600_000, longest: 3_600_000 },
});
const profiles = [
  ...builtInProfiles(topology, 'rotunda'),
  custom('example.com/etcd', 'etcd'),
  custom('example.com/users', 'kubernetes'),
  custom('example.com/proxy', 'front-proxy'),
];

async function approve(service: Service, by: Identity, signer: string, content: CsrContent): Promise<string> {
  const usages = signer === kubeletClient ? {} : clientAuth;
  const { request } = await service.requests.submit(administrator, draft(signer, content, usages));
  const { name } = request.metadata;
  await service.requests.decide(name, 'Approved', { identity: by });
  return name;
}

describeEachStore('an operator', (open) => {
  it.each<[string, CsrContent, string]>([
    [apiserverClient, named('system:kube-controller-manager'), 'the common name "system:kube-controller-manager"'],
    [apiserverClient, named('eve', 'users', 'system:monitoring'), 'the organization "system:monitoring"'],
    [apiserverClient, named('eve', 'kubeadm:cluster-admins'), 'the organization "kubeadm:cluster-admins"'],
    [apiserverClient, nodeSubject('node-a'), 'the common name "system:node:node-a"'],
    ['example.com/users', named('system:apiserver'), 'the common name "system:apiserver"'],
  ])('does not approve under %s %j, and administrators do', async (signer, content, why) => {
    const service = await startService(await open(), { profiles });
    const refusal = { code: 'forbidden', message: expect.stringContaining(why) as string };
    await expect(approve(service, operator, signer, content)).rejects.toMatchObject(refusal);
    for (const by of [administrator, clusterAdmin]) {
      const { status } = await stored(service, await approve(service, by, signer, content));
      expect(status.conditions?.[0]?.type).toBe('Approved');
    }
  });

  it.each<[string, CsrContent]>([
    [apiserverClient, named('alice', 'developers')],
    [kubeletClient, nodeSubject('node-a')],
    ['example.com/etcd', named('app')],
  ])('approves under %s %j', async (signer, content) => {
    const service = await startService(await open(), { profiles });
    const { status } = await stored(service, await approve(service, operator, signer, content));
    expect(status.conditions?.[0]?.type).toBe('Approved');
  });

  it.each([etcdClient, 'example.com/etcd'])('does not make the administrator of etcd under %s', async (signer) => {
    const service = await startService(await open(), { profiles });
    const refusal = { code: 'forbidden', message: expect.stringContaining('administrator of etcd') as string };
    await expect(approve(service, operator, signer, named('root'))).rejects.toMatchObject(refusal);
    const { status } = await stored(service, await approve(service, administrator, signer, named('root')));
    expect(status.conditions?.[0]?.type).toBe('Approved');
  });
});

describeEachStore('a front proxy', (open) => {
  it('is made by administrators of the service only', async () => {
    const service = await startService(await open(), { profiles });
    const refusal = { code: 'forbidden', message: expect.stringContaining('front proxy') as string };
    for (const by of [operator, clusterAdmin])
      await expect(approve(service, by, 'example.com/proxy', named('proxy'))).rejects.toMatchObject(refusal);
    const { status } = await stored(
      service,
      await approve(service, administrator, 'example.com/proxy', named('proxy')),
    );
    expect(status.conditions?.[0]?.type).toBe('Approved');
  });
});

describeEachStore('an etcd member', (open) => {
  it('is no client under the name of another member, even where that is an enrolled client', async () => {
    const service = await startService(await open());
    await service.etcd.create({ name: 'main', clientNames: ['m2', 'app'] }, admin);
    for (const [index, name] of ['m1', 'm2'].entries()) {
      const address = `10.1.0.${String(index + 1)}`;
      const urls = { peerUrls: [`https://${address}:2380`], clientUrls: [`https://${address}:2379`] };
      await service.etcd.addMember('main', { name, addresses: [address], dnsNames: [], ...urls }, admin);
    }
    const token = await service.tokens.create({ etcdMember: { cluster: 'main', name: 'm1' } }, admin);
    for (const who of [memberIdentity('main', 'm1'), await authenticated(service, token)]) {
      const asked = await service.requests.submit(who, draft(etcdClient, named('m2'), clientAuth));
      expect((await asked.settled).decision).toMatchObject({
        outcome: 'deny',
        message: '"m2" is the etcd member "main/m2"',
      });
    }
    const { settled } = await service.requests.submit(
      memberIdentity('main', 'm1'),
      draft(etcdClient, named('app'), clientAuth),
    );
    expect((await settled).decision?.outcome).toBe('approve');
  });
});

describeEachStore('a control-plane node that is disabled', (open) => {
  it('is given nothing, by token or by certificate', async () => {
    const service = await startService(await open());
    const who = await authenticated(service, await service.tokens.create({ controlPlane: 'cp-1' }, admin));
    if ((await service.nodes.find('cp-1')) === undefined)
      await service.nodes.enrol({ name: 'cp-1', addresses: [], dnsNames: [] }, admin);
    await service.nodes.disable('cp-1', { actor: admin });
    const asked = () => draft('kubeadm.rotunda.dev/scheduler', named('system:kube-scheduler'));
    for (const caller of [who, nodeIdentity('cp-1')]) {
      const { settled } = await service.requests.submit(caller, asked());
      const { decision, issued } = await settled;
      expect(issued).toBeUndefined();
      expect(decision).toMatchObject({
        outcome: 'deny',
        message: expect.stringContaining('the node "cp-1" is disabled') as string,
      });
    }
  });
});
