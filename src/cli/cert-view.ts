import type { CertificateView } from '../api/rest/certificate-view.js';
import { joined, until, type View } from './output.js';

export const certificateView: View<CertificateView> = {
  kind: 'certificate',
  name: (certificate) => certificate.serial,
  columns: [
    { title: 'SERIAL', value: (certificate) => certificate.serial },
    { title: 'COMMON NAME', value: (certificate) => certificate.commonName },
    { title: 'PROFILE', value: (certificate) => certificate.profile },
    { title: 'RING', value: (certificate) => certificate.ring },
    { title: 'EXPIRES IN', value: (certificate) => until(certificate.notAfter) },
    { title: 'STATE', value: stateOf },
    { title: 'RENEWAL', wide: true, value: renewalOf },
    { title: 'NAMES', wide: true, value: (certificate) => joined(certificate.names.map(({ value }) => value)) },
    { title: 'SUBJECT', wide: true, value: (certificate) => certificate.subject },
    { title: 'REQUESTER', wide: true, value: (certificate) => certificate.requester },
  ],
};

function stateOf(certificate: CertificateView): string {
  if (certificate.revokedAt !== undefined) return 'revoked';
  if (Date.parse(certificate.notAfter) <= Date.now()) return 'expired';
  if (certificate.banned !== undefined) return 'banned';
  return certificate.supersededAt === undefined ? 'good' : 'superseded';
}

/** How long until its renewal is wanted. */
function renewalOf({ renewal }: CertificateView): string | undefined {
  if (renewal === undefined) return undefined;
  return Date.parse(renewal.start) <= Date.now() ? 'now' : `in ${until(renewal.start)}`;
}
