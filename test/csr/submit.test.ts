import { X509Certificate } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { describeEachStore } from '../support/stores.js';
import { newEcKey, publicDer } from '../support/pkcs10.js';
import { admin } from '../identity/rooms.js';
import { authenticated, conditionOf, draft, kubeletClient, nodeSubject, startService } from './support.js';

describeEachStore('submit', (open) => {
  describe('a bound token', () => {
    it('gets the client certificate of its node, in two writes', async () => {
      const store = await open();
      const service = await startService(store);
      const created = await service.tokens.create(
        { node: { name: 'node-a', addresses: ['10.0.0.1'], dnsNames: [] } },
        admin,
      );
      const key = newEcKey();
      const who = await authenticated(service, created);
      const before = await store.revision();
      const submitted = await service.requests.submit(who, draft(kubeletClient, nodeSubject('node-a'), {}, key));
      expect(submitted.request.status).toEqual({});
      expect(JSON.parse(submitted.text)).toEqual(submitted.request);
      const settled = await submitted.settled;
      const certificate = new X509Certificate(Buffer.from(settled.request.status.certificate ?? '', 'base64'));
      expect(certificate.subject).toBe('O=system:nodes\nCN=system:node:node-a');
      expect(certificate.publicKey.export({ format: 'der', type: 'spki' })).toEqual(publicDer(key));
      expect(conditionOf(settled.request, 'Approved')).toEqual({
        reason: 'AutoApproved',
        message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
      });
      expect(settled.text).toBe(await service.requests.get(submitted.request.metadata.name));
      expect(await store.revision()).toBe(before + 2);
      const record = await service.ca.certificates.get(settled.issued?.prepared.serial ?? '');
      expect(record).toMatchObject({ node: 'node-a', profile: kubeletClient, ring: 'kubernetes' });
    });
  });
});
