import { expect, test } from 'vitest';

import { admin, auditActions, issueLeaf, operator, refusalOf, startRooms, subject } from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';

const code = (value: string): unknown => expect.objectContaining({ code: value });
const draft = {
  name: 'infra0',
  peerUrls: ['https://10.0.0.1:2380'],
  clientUrls: ['https://10.0.0.1:2379', 'https://e0.example:2379'],
};

describeEachStore('etcd clusters', (open) => {
  test('a cluster, its client names, and who may enrol root', async () => {
    const { etcd } = await startRooms(await open());
    await etcd.create({ name: 'main', clientNames: ['kube-apiserver-etcd-client'] }, operator);
    await expect(etcd.create({ name: 'main' }, operator)).rejects.toEqual(code('already-exists'));
    await expect(etcd.create({ name: 'Main' }, operator)).rejects.toEqual(code('invalid'));
    await expect(etcd.create({ name: 'other', clientNames: ['a b'] }, operator)).rejects.toEqual(code('invalid'));
    await expect(etcd.update('main', { clientNames: ['root'] }, operator)).rejects.toEqual(code('forbidden'));
    await expect(etcd.create({ name: 'other', clientNames: ['root'] }, operator)).rejects.toEqual(code('forbidden'));
    await etcd.update('main', { clientNames: ['root'] }, admin);
    // Enrolled by an administrator, it may stay when an operator changes the rest.
    expect(await etcd.update('main', { clientNames: ['root', 'backup'] }, operator)).toMatchObject({
      clientNames: ['backup', 'root'],
    });
    expect((await etcd.list()).map((cluster) => cluster.name)).toEqual(['main']);
    await etcd.delete('main', operator);
    await expect(etcd.get('main')).rejects.toEqual(code('not-found'));
    await expect(etcd.members('main')).rejects.toEqual(code('not-found'));
  });

  test('a member carries the hosts of its URLs, loopback and its own name', async () => {
    const { etcd, changed } = await startRooms(await open());
    await expect(etcd.addMember('main', draft, operator)).rejects.toEqual(code('not-found'));
    await etcd.create({ name: 'main' }, operator);
    const made = await etcd.addMember(
      'main',
      { ...draft, addresses: ['192.168.0.1'], dnsNames: ['alias.example'] },
      operator,
    );
    expect(made).toMatchObject({
      state: 'expected',
      addresses: ['10.0.0.1', '127.0.0.1', '192.168.0.1', '::1'],
      dnsNames: ['alias.example', 'e0.example', 'infra0', 'localhost'],
    });
    expect(await etcd.member('main', 'infra0')).toEqual(made);
    await expect(etcd.addMember('main', draft, operator)).rejects.toEqual(code('already-exists'));
    await expect(
      etcd.addMember('main', { ...draft, name: 'b', peerUrls: ['http://10.0.0.2:2380'] }, operator),
    ).rejects.toEqual(code('invalid'));
    await expect(etcd.addMember('main', { ...draft, name: 'b', peerUrls: [] }, operator)).rejects.toEqual(
      code('invalid'),
    );
    await expect(etcd.delete('main', operator)).rejects.toEqual(code('conflict'));

    const moved = await etcd.updateMember('main', 'infra0', { peerUrls: ['https://10.0.0.9:2380'] }, operator);
    expect(moved.addresses).toEqual(['10.0.0.1', '10.0.0.9', '127.0.0.1', '192.168.0.1', '::1']);
    expect((await etcd.members('main')).map((member) => member.peerUrls)).toEqual([['https://10.0.0.9:2380']]);
    await expect(etcd.updateMember('main', 'infra1', {}, operator)).rejects.toEqual(code('not-found'));
    expect(changed.length).toBe(3);
  });

  test('a member joins with its first certificate, and is refused once removed', async () => {
    const rooms = await startRooms(await open());
    const { etcd, authenticator, tokens, store } = rooms;
    await etcd.create({ name: 'main' }, operator);
    await etcd.addMember('main', draft, operator);
    const { token, secret } = await tokens.create({ etcdMember: { cluster: 'main', name: 'infra0' } }, operator);
    const { der } = await issueLeaf(rooms, {
      ring: 'etcd',
      profile: 'etcd.rotunda.dev/peer',
      ...subject('infra0'),
      node: '',
      cluster: 'main',
      member: 'infra0',
    });
    expect(await authenticator.authenticate({ certificate: der })).toMatchObject({
      member: { cluster: 'main', name: 'infra0' },
    });
    expect((await etcd.member('main', 'infra0')).state).toBe('joined');

    await etcd.removeMember('main', 'infra0', operator);
    expect(await refusalOf(authenticator.authenticate({ certificate: der }))).toContain('banned');
    expect(await tokens.authenticate(token.id, secret)).toBeUndefined();
    await expect(etcd.removeMember('main', 'infra0', operator)).rejects.toEqual(code('not-found'));
    expect(await auditActions(store)).toEqual(
      expect.arrayContaining(['etcd-cluster.created', 'etcd-member.enrolled', 'etcd-member.removed']),
    );
  });
});
