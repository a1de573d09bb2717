import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { bodyFormat, decodeBody } from '../../../src/api/kubernetes/codec/decode.js';
import {
  certificateSigningRequest,
  selfSubjectAccessReview,
  selfSubjectReview,
} from '../../../src/api/kubernetes/codec/schema.js';
import { gogoBody } from '../../support/gogo.js';

const fixture = (name: string): Buffer => readFileSync(new URL(`../../fixtures/kubelet/${name}.bin`, import.meta.url));

/** What the service reads from a recorded body, written again, must be that body. */
it.each([
  ['kubectl-1.33-post-selfsubjectreview', 'authentication.k8s.io/v1', 'SelfSubjectReview', selfSubjectReview],
  [
    'kubectl-1.33-post-selfsubjectaccessreview',
    'authorization.k8s.io/v1',
    'SelfSubjectAccessReview',
    selfSubjectAccessReview,
  ],
  ['kubectl-1.33-put-approval', 'certificates.k8s.io/v1', 'CertificateSigningRequest', certificateSigningRequest],
  ['kubelet-1.36-client-csr', 'certificates.k8s.io/v1', 'CertificateSigningRequest', certificateSigningRequest],
  ['kubelet-1.36-serving-csr', 'certificates.k8s.io/v1', 'CertificateSigningRequest', certificateSigningRequest],
] as const)('%s, read and written again, is the same bytes', (name, apiVersion, kind, shape) => {
  const recorded = fixture(name);
  const { value } = decodeBody(
    recorded,
    bodyFormat('application/vnd.kubernetes.protobuf'),
    { kind, apiVersions: [apiVersion], shape },
    'Strict',
  );
  expect(gogoBody(apiVersion, kind, value).toString('hex')).toBe(recorded.toString('hex'));
});
