import { describe, expect, it } from 'vitest';

import { configFrom } from '../../src/config/load.js';
import { policyFrom } from '../../src/config/policy.js';

const apiVersion = 'rotunda.dev/v1alpha1';

describe('the policy of a configuration', () => {
  it('is what the service would start with', () => {
    const fields = { lifetimes: 'upstream', nodeApproval: 'upstream-any-node-name', topology: { etcdClient: 'apps' } };
    const { profiles, nodeApproval } = configFrom({ apiVersion, ...fields });
    expect(policyFrom({ apiVersion, ...fields })).toEqual({ profiles, nodeApproval });
    expect(nodeApproval).toBe('upstream');
  });

  it('reads no file and no variable that the configuration names', () => {
    const elsewhere = {
      store: { urlFile: '/nonexistent/url' },
      keyEncryptionKey: { passphraseEnvironment: 'NOT_SET_ANYWHERE' },
      dataDir: '/nonexistent',
      log: { level: 'shouting' },
    };
    expect(policyFrom({ apiVersion, ...elsewhere })).toEqual(policyFrom({ apiVersion }));
  });

  it.each([
    [{}, 'apiVersion'],
    [{ apiVersion: 'rotunda.dev/v9' }, 'apiVersion'],
    [{ apiVersion, nodeApproval: 'anybody' }, 'nodeApproval'],
    [{ apiVersion, topology: { etcdClient: 'kubernetes' } }, 'topology.etcdClient'],
    [
      {
        apiVersion,
        profiles: [{ signerName: 'example.com/x', ring: 'nowhere', usages: { required: ['client auth'] } }],
      },
      'profiles',
    ],
    [{ apiVersion, profiles: 7 }, 'profiles'],
  ])('is refused as at a start: %j', (raw, field) => {
    expect(() => policyFrom(raw)).toThrow(
      expect.objectContaining({
        code: 'invalid',
        details: expect.objectContaining({
          causes: expect.arrayContaining([
            expect.objectContaining({ field: expect.stringContaining(field) as string }),
          ]) as unknown,
        }) as unknown,
      }) as Error,
    );
  });
});
