import { describe, expect, it } from 'vitest';

import { parseRequest } from '../../src/csr/parse.js';
import type { ObjectMeta, RequestSpec } from '../../src/csr/types.js';
import { validateCreate } from '../../src/csr/validate.js';
import { RotundaError } from '../../src/errors.js';
import { nodeSubject, requestBytes } from './support.js';

const good = {
  request: requestBytes(nodeSubject('node-a')),
  signerName: 'example.com/custom',
  usages: ['client auth'],
};
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

function messageFor(spec: Partial<RequestSpec>, metadata: Partial<ObjectMeta> = { name: 'x' }): string {
  try {
    validateCreate(metadata, spec, parseRequest(spec.request, 'upstream'));
    return '';
  } catch (error) {
    if (!(error instanceof RotundaError)) throw error;
    expect(error.code).toBe('invalid');
    return error.message;
  }
}

describe('validation at create, in upstream words', () => {
  it.each<[string, Partial<RequestSpec>, string]>([
    ['nothing wrong', {}, ''],
    [
      'no request',
      { request: undefined } as never,
      'spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST',
    ],
    [
      'an empty request',
      { request: '' },
      'spec.request: Invalid value: "": PEM block type must be CERTIFICATE REQUEST',
    ],
    ['no usages', { usages: [] }, 'spec.usages: Required value'],
    ['a usage twice', { usages: ['client auth', 'client auth'] }, 'spec.usages[1]: Duplicate value: "client auth"'],
    ['no signer', { signerName: '' }, 'spec.signerName: Required value'],
    [
      'a signer without a path',
      { signerName: 'foo' },
      'spec.signerName: Invalid value: "foo": must be a fully qualified domain and path of the form \'example.com/signer-name\'',
    ],
    [
      'a signer in capitals',
      { signerName: 'Example.com/x' },
      `spec.signerName: Invalid value: "Example.com": validating label "Example": ${label}`,
    ],
    [
      'a signer without a dot',
      { signerName: 'example/x' },
      'spec.signerName: Invalid value: "example": should be a domain with at least two segments separated by dots',
    ],
    [
      'a signer without a domain',
      { signerName: '/x' },
      `[spec.signerName: Invalid value: "": validating label "": ${label}, spec.signerName: Invalid value: "": should be a domain with at least two segments separated by dots]`,
    ],
    [
      'the legacy signer',
      { signerName: 'kubernetes.io/legacy-unknown' },
      'spec.signerName: Invalid value: "kubernetes.io/legacy-unknown": the legacy signerName is not allowed via this API version',
    ],
    [
      'too short a life',
      { expirationSeconds: 599 },
      'spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)',
    ],
  ])('%s', (_what, change, message) => {
    const spec: Partial<RequestSpec> = { ...good, ...change };
    expect(messageFor(spec)).toBe(message);
  });

  it('lists every broken rule in order', () => {
    expect(messageFor({}, {})).toBe(
      '[metadata.name: Required value: name or generateName is required, spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST, spec.usages: Required value, spec.signerName: Required value]',
    );
  });

  it.each<[Partial<ObjectMeta>, string]>([
    [{ name: '..' }, `metadata.name: Invalid value: "..": may not be '..'`],
    [{ name: 'a/b' }, `metadata.name: Invalid value: "a/b": may not contain '/'`],
    [{ name: 'A b:C' }, ''],
    [
      { name: 'x', labels: { a: 'b c' } },
      `metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
    ],
    [
      { name: 'x', finalizers: ['f'] },
      'metadata.finalizers: Invalid value: "f": name is neither a standard finalizer name nor is it fully qualified',
    ],
  ])('metadata %j', (metadata, message) => {
    expect(messageFor(good, metadata)).toBe(message);
  });
});
