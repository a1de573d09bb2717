import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { protobufCreateBody } from '../support/kubelet-wire.js';

const recorded = (name: string): Buffer => readFileSync(new URL(`../fixtures/kubelet/${name}`, import.meta.url));

function pemIn(body: Buffer): string {
  return (
    /-----BEGIN CERTIFICATE REQUEST-----[\s\S]+-----END CERTIFICATE REQUEST-----\n/.exec(
      body.toString('latin1'),
    )?.[0] ?? ''
  );
}

describe('the kubelet driver', () => {
  it.each([
    ['kubelet-1.36-client-csr.bin', 'kubernetes.io/kube-apiserver-client-kubelet', 'client auth'],
    ['kubelet-1.36-serving-csr.bin', 'kubernetes.io/kubelet-serving', 'server auth'],
  ])('writes %s byte for byte', (file, signerName, usage) => {
    const body = recorded(file);
    const made = protobufCreateBody({
      name: '',
      generateName: 'csr-',
      requestPem: pemIn(body),
      signerName,
      usages: ['digital signature', usage],
    });
    expect(made.toString('hex')).toBe(body.toString('hex'));
  });
});
