import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { preferredType } from '../../../src/api/public/accept.js';

const offers = ['application/json', 'application/pem-certificate-chain', 'text/plain'] as const;

describe('preferredType', () => {
  it.each([
    [undefined, 'application/json'],
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['application/*', 'application/json'],
    ['text/*', 'text/plain'],
    ['application/pem-certificate-chain', 'application/pem-certificate-chain'],
    ['Application/PEM-certificate-chain', 'application/pem-certificate-chain'],
    ['text/html, text/plain;q=0.5, */*;q=0.1', 'text/plain'],
    ['application/json;q=0.2, application/pem-certificate-chain;q=0.9', 'application/pem-certificate-chain'],
    ['*/*;q=1, application/json;q=0', 'application/pem-certificate-chain'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io', 'application/json'],
    ['image/png', undefined],
    ['*/*;q=0', undefined],
    ['application/json;q=2', undefined],
    ['nonsense', 'application/json'],
  ])('takes from %j the type %s', (accept, expected) => {
    expect(preferredType(accept, offers)).toBe(expected);
  });

  it('answers whatever it is sent', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 5000 }), (accept) => {
        const type = preferredType(accept, offers);
        expect(type === undefined || offers.includes(type)).toBe(true);
      }),
    );
  });
});
