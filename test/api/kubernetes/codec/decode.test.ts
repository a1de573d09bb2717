import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bodyFormat, decodeBody, type FieldValidation } from '../../../../src/api/kubernetes/codec/decode.js';
import { scanJson } from '../../../../src/api/kubernetes/codec/json-scan.js';
import { encodeMessage } from '../../../../src/api/kubernetes/codec/protobuf.js';
import { selfSubjectAccessReview, selfSubjectReview } from '../../../../src/api/kubernetes/codec/schema.js';
import { expectedRequest } from '../../../../src/api/kubernetes/kinds.js';
import { RotundaError } from '../../../../src/errors.js';

const fixture = (name: string): Buffer =>
  readFileSync(new URL(`../../../fixtures/kubelet/${name}.bin`, import.meta.url));

function decode(text: string, validation: FieldValidation = 'Warn'): ReturnType<typeof decodeBody> {
  return decodeBody(Buffer.from(text), 'json', expectedRequest, validation);
}

function message(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(RotundaError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('nothing was thrown');
}

const inKind = 'CertificateSigningRequest in version "v1" cannot be handled as a CertificateSigningRequest: ';

describe('bodies in JSON', () => {
  it('lose nulls, empty optional fields and unknown fields', () => {
    const { value, warnings } = decode(
      '{"metadata":{"name":"a","labels":{},"creationTimestamp":null},"spec":{"request":"","colour":1},"x":2}',
    );
    expect(value).toEqual({ metadata: { name: 'a' }, spec: { request: '' } });
    expect(warnings).toEqual(['unknown field "spec.colour"', 'unknown field "x"']);
  });

  it('are checked for fields that come twice, at any depth', () => {
    const text = '{"metadata":{"name":"a","name":"b","annotations":{"k\\":1":"x","k\\":1":"y"}}}';
    expect(decode(text).warnings).toEqual([
      'duplicate field "metadata.name"',
      'duplicate field "metadata.annotations.k":1"',
    ]);
    expect(decode(text, 'Ignore').warnings).toEqual([]);
    expect(message(() => decode(text, 'Strict'))).toContain('strict decoding error: duplicate field "metadata.name"');
  });

  it('keep a key called __proto__ where keys are free, and only there', () => {
    const { value, warnings } = decode('{"metadata":{"labels":{"__proto__":"x"}},"__proto__":{"a":"b"}}');
    expect(Object.keys((value['metadata'] as { labels: object }).labels)).toEqual(['__proto__']);
    expect(warnings).toEqual(['unknown field "__proto__"']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it.each([
    [
      '{"spec":{"usages":"x"}}',
      'json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.usages of type []v1.KeyUsage',
    ],
    [
      '{"spec":{"expirationSeconds":1.5}}',
      'json: cannot unmarshal number 1.5 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32',
    ],
    [
      '{"metadata":{"labels":{"a":true}}}',
      'json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      '{"metadata":[]}',
      'json: cannot unmarshal array into Go struct field CertificateSigningRequest.metadata of type v1.ObjectMeta',
    ],
    ['{"spec":{"request":"ab!="}}', 'illegal base64 data at input byte 2'],
  ])('of a wrong type are refused in the words of Go: %s', (text, expected) => {
    expect(message(() => decode(text))).toBe(inKind + expected);
  });

  it.each([
    ['', "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"],
    ['{"a" 1}', `couldn't get version/kind; json parse error: invalid character '1' after object key ({"a" 1})`],
    [
      '[1]',
      `couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b315d)`,
    ],
  ])('that cannot be read say where: %s', (text, expected) => {
    expect(message(() => decode(text))).toBe(
      `the object provided is unrecognized (must be of type CertificateSigningRequest): ${expected}`,
    );
  });

  it('are told apart by Content-Type', () => {
    expect(bodyFormat('application/json; charset=utf-8')).toBe('json');
    expect(bodyFormat(undefined)).toBe('json');
    expect(bodyFormat('application/yaml')).toBe('yaml');
    expect(message(() => bodyFormat('text/xml'))).toContain('the body of the request was in an unknown format');
  });
});

describe('the scan of a JSON text', () => {
  it('finds an error exactly where JSON.parse does', () => {
    const mutated = fc.tuple(fc.json(), fc.nat(), fc.constantFrom('', '{', '"', ',', '\\', 'x', ']', '1', '\u0001'));
    fc.assert(
      fc.property(mutated, ([json, at, piece]) => {
        const index = at % (json.length + 1);
        const text = json.slice(0, index) + piece + json.slice(index + 1);
        let parses = true;
        try {
          JSON.parse(text);
        } catch {
          parses = false;
        }
        expect(scanJson(text).error === undefined).toBe(parses);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('bodies in protobuf', () => {
  it('of kubectl approving say what its JSON would', () => {
    const { value } = decodeBody(fixture('kubectl-1.33-put-approval'), 'protobuf', expectedRequest, 'Strict');
    const { metadata, spec, status } = value as Record<string, Record<string, unknown>>;
    expect(metadata).toEqual({
      name: 'csr-a',
      uid: expect.any(String) as unknown,
      resourceVersion: '101',
      creationTimestamp: '2026-11-22T05:02:53Z',
    });
    expect(Buffer.from(String(spec?.['request']), 'base64').toString()).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----/);
    expect(spec).toMatchObject({
      signerName: 'kubernetes.io/kube-apiserver-client',
      expirationSeconds: 3600,
      usages: ['client auth'],
      username: 'u1',
    });
    expect(status?.['conditions']).toMatchObject([{ type: 'Approved', status: 'True', reason: 'KubectlApprove' }]);
  });

  it('of kubectl asking who and what it may be are read', () => {
    const review = { kind: 'SelfSubjectReview', apiVersions: ['authentication.k8s.io/v1'], shape: selfSubjectReview };
    expect(decodeBody(fixture('kubectl-1.33-post-selfsubjectreview'), 'protobuf', review, 'Warn').value).toEqual({
      metadata: {},
      status: { userInfo: expect.anything() as unknown },
    });
    const access = {
      kind: 'SelfSubjectAccessReview',
      apiVersions: ['authorization.k8s.io/v1'],
      shape: selfSubjectAccessReview,
    };
    const { spec } = decodeBody(fixture('kubectl-1.33-post-selfsubjectaccessreview'), 'protobuf', access, 'Warn')
      .value as { spec: { resourceAttributes: object } };
    expect(spec.resourceAttributes).toMatchObject({
      resource: expect.any(String) as unknown,
      verb: expect.any(String) as unknown,
    });
  });

  it('come back as they were encoded', () => {
    const object = {
      metadata: {
        name: 'a',
        labels: { x: 'y' },
        annotations: { z: '1' },
        finalizers: ['f/g'],
        creationTimestamp: '2026-01-02T03:04:05Z',
        managedFields: [{ manager: 'm', fieldsV1: { 'f:a': {} } }],
      },
      spec: { request: 'AAEC', signerName: 'a.b/c', usages: ['any'], extra: { k: ['v', 'w'] }, expirationSeconds: 600 },
      status: {
        conditions: [{ type: 'A', status: 'True', lastUpdateTime: '2026-01-02T03:04:05Z' }],
        certificate: 'AA==',
      },
    };
    const body = encodeMessage('CertificateSigningRequest', 'certificates.k8s.io/v1', object);
    expect(decodeBody(body, 'protobuf', expectedRequest, 'Warn').value).toEqual(object);
  });

  it('that are damaged are a client error, never a crash', () => {
    const whole = fixture('kubectl-1.33-put-approval');
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, length) => {
        const body = Buffer.from(whole.subarray(0, length));
        if (at < body.length) body[at] = byte;
        try {
          decodeBody(body, 'protobuf', expectedRequest, 'Strict');
        } catch (error) {
          expect(error).toBeInstanceOf(RotundaError);
          expect((error as RotundaError).status).toBe(400);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
