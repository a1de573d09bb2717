import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { configFrom } from '../../src/config/load.js';

const load = (fields: Readonly<Record<string, unknown>>) =>
  configFrom({ apiVersion: 'rotunda.dev/v1alpha1', ...fields }, {});

describe('front proxies in the configuration', () => {
  it('are kubeadm’s when nothing is said', () => {
    expect(load({}).frontProxy).toEqual({
      clientCAFile: undefined,
      allowedNames: ['front-proxy-client'],
      headerNames: {
        username: ['X-Remote-User'],
        uid: ['X-Remote-Uid'],
        group: ['X-Remote-Group'],
        extraPrefix: ['X-Remote-Extra-'],
      },
    });
  });

  it('are as told', () => {
    const { frontProxy, headerTrust } = load({
      frontProxy: {
        clientCAFile: 'ca.crt',
        allowedNames: ['aggregator'],
        usernameHeaders: ['X-User'],
        uidHeaders: [],
        groupHeaders: ['X-Group'],
        extraHeaderPrefixes: ['X-Extra-'],
      },
    });
    expect(headerTrust).toBe(true);
    expect(frontProxy.clientCAFile).toBe(path.resolve('ca.crt'));
    expect(frontProxy.allowedNames).toEqual(['aggregator']);
    expect(frontProxy.headerNames).toEqual({
      username: ['X-User'],
      uid: [],
      group: ['X-Group'],
      extraPrefix: ['X-Extra-'],
    });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['an empty list of names', { allowedNames: [] }, /frontProxy\.allowedNames: .*every certificate of that CA could/],
    ['an empty name', { allowedNames: [''] }, /frontProxy\.allowedNames\[0\]/],
    ['no header for the user', { usernameHeaders: [] }, /frontProxy\.usernameHeaders/],
    [
      'a header that is none',
      { groupHeaders: ['X Group'] },
      /frontProxy\.groupHeaders\[0\]: "X Group": must be the name/,
    ],
    ['a header with a meaning', { usernameHeaders: ['authorization'] }, /frontProxy\.usernameHeaders\[0\].*of its own/],
    ['an unknown field', { trust: true }, /frontProxy: unknown field trust/],
  ])('refuses %s', (_title, frontProxy, message) => {
    expect(() => load({ frontProxy })).toThrow(message);
  });

  it('refuses a file of CAs where no header is trusted', () => {
    const shared = { topology: { etcdClient: 'kubernetes' }, allowInsecureSharedCA: true };
    expect(load(shared).headerTrust).toBe(false);
    expect(() => load({ ...shared, frontProxy: { clientCAFile: 'ca.crt' } })).toThrow(
      /frontProxy\.clientCAFile: no header of a front proxy is trusted/,
    );
  });
});
