import { expect, test } from 'vitest';

import type { ClusterClient } from '../../src/attach/client.js';
import { createTokenSecrets } from '../../src/attach/token-secrets.js';
import type { TokenDraft } from '../../src/identity/types.js';
import { kek, logger } from '../ca/support.js';
import { admin, startRooms } from '../identity/rooms.js';
import { describeEachStore } from '../support/stores.js';

type Written = { readonly stringData: Readonly<Record<string, string>> };

describeEachStore('Secrets of tokens on an API server', (open) => {
  test('give the group of nodes to tokens of nodes, and to no other that was made without', async () => {
    const { store, tokens } = await startRooms(await open());
    const secrets = createTokenSecrets({ store, kek, logger });
    const written = new Map<string, string | undefined>();
    const create = ((_path: string, object: Written) => {
      written.set(object.stringData['token-id'] ?? '', object.stringData['auth-extra-groups']);
      return Promise.resolve({ metadata: { name: 'x', uid: 'u' } });
    }) as ClusterClient['create'];
    const client = { create } as Pick<ClusterClient, 'create'> as ClusterClient;
    const made = async (draft: TokenDraft): Promise<string> => {
      const { token, secret } = await tokens.create(draft, admin);
      await store.write((tx) => secrets.note(tx, token, secret));
      return token.id;
    };
    const nodes = 'system:bootstrappers:kubeadm:default-node-token';
    const node = await made({ node: { name: 'n1', addresses: [], dnsNames: [] } });
    const usual = await made({});
    const bare = await made({ groups: [] });
    const own = await made({ groups: ['system:bootstrappers:own'] });
    await secrets.keep(client, tokens);
    expect(Object.fromEntries(written)).toEqual({
      [node]: nodes,
      [usual]: nodes,
      [bare]: undefined,
      [own]: 'system:bootstrappers:own',
    });
  });
});
