import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { readFrontProxy } from '../../src/attach/front-proxy.js';

const map = (data: Record<string, string>): Parameters<typeof readFrontProxy>[0] => ({
  metadata: { name: 'extension-apiserver-authentication' },
  data,
});

describe('what an API server publishes about itself', () => {
  it('is read', () => {
    const read = readFrontProxy(
      map({
        'requestheader-client-ca-file': 'PEM',
        'requestheader-allowed-names': '["front-proxy-client"]',
        'requestheader-username-headers': '["X-Remote-User"]',
        'requestheader-group-headers': '["X-Remote-Group"]',
        'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
        'requestheader-uid-headers': '["X-Remote-Uid"]',
      }),
    );
    expect(read).toEqual({
      clientCa: 'PEM',
      allowedNames: ['front-proxy-client'],
      usernameHeaders: ['X-Remote-User'],
      uidHeaders: ['X-Remote-Uid'],
      groupHeaders: ['X-Remote-Group'],
      extraHeaderPrefixes: ['X-Remote-Extra-'],
    });
  });

  it('allows nobody where it says nothing', () => {
    for (const nothing of [undefined, map({}), map({ 'requestheader-client-ca-file': ' \n' })]) {
      expect(readFrontProxy(nothing)).toMatchObject({ clientCa: undefined, allowedNames: [] });
    }
  });

  it('allows nobody by a list that is no list of names', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const { allowedNames } = readFrontProxy(map({ 'requestheader-allowed-names': text }));
        for (const name of allowedNames) expect(text).toContain(JSON.stringify(name).slice(1, 2));
        expect(allowedNames.every((name) => typeof name === 'string')).toBe(true);
      }),
    );
    for (const text of ['front-proxy-client', '{"a":"front-proxy-client"}', '"front-proxy-client"', 'null', '[1]']) {
      expect(readFrontProxy(map({ 'requestheader-allowed-names': text })).allowedNames).toEqual([]);
    }
  });
});
