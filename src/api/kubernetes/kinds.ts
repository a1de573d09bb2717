import type { Expected } from './codec/decode.js';
import { certificateSigningRequest, deleteOptions } from './codec/schema.js';

export const group = 'certificates.k8s.io';
export const groupVersion = 'certificates.k8s.io/v1';
export const resource = 'certificatesigningrequests';
export const kind = 'CertificateSigningRequest';

/** What bodies of the resource hold. */
export const expectedRequest: Expected = {
  kind,
  apiVersions: [groupVersion],
  otherVersions: ['certificates.k8s.io/v1beta1'],
  shape: certificateSigningRequest,
};

/** What a DELETE's body holds. */
export function expectedDeleteOptions(of: string = groupVersion): Expected {
  return { kind: 'DeleteOptions', apiVersions: ['v1', 'meta.k8s.io/v1', of], shape: deleteOptions };
}
