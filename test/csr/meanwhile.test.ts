import { X509Certificate } from 'node:crypto';

import { expect, it } from 'vitest';

import type { Ca, PreparedCertificate } from '../../src/ca/types.js';
import type { Identity } from '../../src/identity/types.js';
import { admin, issueNodeLeaf, minuteMs, operator } from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';
import {
  administrator,
  apiserverClient,
  authenticated,
  draft,
  eventually,
  kubeletClient,
  nodeSubject,
  type Service,
  startService,
  stored,
} from './support.js';

/** The real rings, which sign only after something else has happened. */
function signingAfter(meanwhile: () => Promise<unknown>): (ca: Ca) => Ca {
  return (ca) => ({
    ...ca,
    issuing: {
      ...ca.issuing,
      sign: async (prepared: PreparedCertificate) => {
        await meanwhile();
        return ca.issuing.sign(prepared);
      },
    },
  });
}

/** A node that has joined, as its certificate makes it. */
async function joined(service: Service, node: string): Promise<Identity> {
  const created = await service.tokens.create({ node: { name: node, addresses: [], dnsNames: [] } }, admin);
  const issued = await issueNodeLeaf(service, node, created.token.id);
  return service.authenticator.authenticate({ certificate: issued.der });
}

const withdrawals: readonly [string, (service: Service, who: Identity) => Promise<unknown>][] = [
  ['its node is deleted', (service) => service.nodes.delete('node-a', admin)],
  ['its node is disabled', (service) => service.nodes.disable('node-a', { actor: admin })],
  [
    'its certificate is revoked',
    (service, who) => service.revocation.revoke(who.certificate?.serial ?? '', { actor: admin }),
  ],
];

describeEachStore('a renewal whose requester loses its right meanwhile', (open) => {
  it.each(withdrawals)('is denied before the intent is written: %s', async (_what, withdraw) => {
    const service = await startService(await open());
    const who = await joined(service, 'node-a');
    await withdraw(service, who);
    const { request, settled } = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a')));
    expect((await settled).issued).toBeUndefined();
    expect(request.status.conditions?.map((condition) => condition.type)).toEqual(['Denied']);
  });

  it.each(withdrawals)('is not given after it: %s', async (_what, withdraw) => {
    let meanwhile: () => Promise<unknown> = () => Promise.resolve();
    const service = await startService(await open(), { wrapCa: signingAfter(() => meanwhile()) });
    const who = await joined(service, 'node-a');
    meanwhile = () => withdraw(service, who);
    const { request, settled } = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a')));
    expect((await settled).issued).toBeUndefined();
    service.clock.set(service.clock.now().getTime() + 2 * minuteMs);
    await service.requests.reconsider();
    const { status } = await stored(service, request.metadata.name);
    expect(status.certificate).toBeUndefined();
    expect(status.conditions?.map((condition) => condition.type)).toEqual(['Denied']);
  });

  it('counts for nothing when a token asked and its node is deleted', async () => {
    let meanwhile: () => Promise<unknown> = () => Promise.resolve();
    const service = await startService(await open(), { wrapCa: signingAfter(() => meanwhile()) });
    const node = { name: 'node-a', addresses: [], dnsNames: [] };
    const who = await authenticated(service, await service.tokens.create({ node }, admin));
    meanwhile = () => service.nodes.delete('node-a', admin);
    const { settled } = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a')));
    const { issued } = await settled;
    const certificate = issued?.der ?? Buffer.alloc(0);
    await expect(service.authenticator.authenticate({ certificate })).rejects.toMatchObject({ code: 'unauthorized' });
    const [found] = (await service.ca.certificates.list({ serial: issued?.prepared.serial ?? '', limit: 1 })).items;
    expect(found).toMatchObject({
      revokedAt: service.clock.now().getTime(),
      revocationReason: 'cessationOfOperation',
    });
  });
});

describeEachStore('an approval', (open) => {
  it('does not count for another request that took the name meanwhile', async () => {
    const service = await startService(await open());
    const of = (commonName: string) => {
      const made = draft('etcd.rotunda.dev/client', { subject: [['CN', commonName]] }, { usages: ['client auth'] });
      return { ...made, metadata: { name: 'swapped' } };
    };
    await service.requests.submit(operator, of('somebody'));
    // The approval reads the names first, and its own transaction comes after this one.
    const swapped = service.requests
      .delete('swapped', { identity: operator })
      .then(() => service.requests.submit(operator, of('root')));
    const approvals = Array.from({ length: 20 }, async () => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      return service.requests.decide('swapped', 'Approved', { identity: operator });
    });
    await Promise.allSettled([swapped, ...approvals]);
    await swapped;
    const { status } = await stored(service, 'swapped');
    expect(status.conditions ?? []).toEqual([]);
  });
});

describeEachStore('a certificate that makes a node, given under a profile for users', (open) => {
  it('goes with its node', async () => {
    const service = await startService(await open());
    await joined(service, 'node-a');
    const asked = draft(apiserverClient, nodeSubject('node-a'), { usages: ['client auth'] });
    const { request } = await service.requests.submit(administrator, asked);
    const { name } = request.metadata;
    await service.requests.decide(name, 'Approved', { identity: administrator });
    const given = await eventually(service, name, ({ status }) => status.certificate !== undefined);
    const pem = Buffer.from(given.status.certificate ?? '', 'base64').toString();
    const certificate = new X509Certificate(pem).raw;
    expect(await service.authenticator.authenticate({ certificate })).toMatchObject({ node: 'node-a' });
    await service.nodes.delete('node-a', admin);
    await expect(service.authenticator.authenticate({ certificate })).rejects.toMatchObject({ code: 'unauthorized' });
  });
});

describeEachStore('one name asked for twice at once', (open) => {
  it('gives a certificate that works', async () => {
    const service = await startService(await open());
    const node = { name: 'node-a', addresses: [], dnsNames: [] };
    const who = await authenticated(service, await service.tokens.create({ node }, admin));
    const asked = { ...draft(kubeletClient, nodeSubject('node-a')), metadata: { name: 'node-csr-x' } };
    const results = await Promise.allSettled([
      service.requests.submit(who, asked),
      service.requests.submit(who, asked),
      service.requests.submit(who, asked),
    ]);
    expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
    const given = await eventually(service, 'node-csr-x', ({ status }) => status.certificate !== undefined);
    const certificate = new X509Certificate(Buffer.from(given.status.certificate ?? '', 'base64')).raw;
    expect(await service.authenticator.authenticate({ certificate })).toMatchObject({ node: 'node-a' });
  });
});
