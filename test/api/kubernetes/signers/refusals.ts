import { dns, hex } from '../../../ca/x509/requests.js';
import { type Asked, caTrue, certSign, nodeA, otherName, requestOf, signers } from './requests.js';

const clientAuth = ['digital signature', 'client auth'];
const jane = [['CN', 'jane']] as const;

/** What upstream's signer certifies and Rotunda does not, whoever approves. The page on compatibility has each reason. */
export type Refusal = Asked & { readonly what: string; readonly reason: string; readonly failed: string };

const client = (der: Buffer): Asked => ({ signerName: signers.client, der, usages: clientAuth });

export const refusals: readonly Refusal[] = [
  {
    what: 'an RSA key of 1024 bits',
    reason: 'The CA/Browser Forum and NIST SP 800-131A have ruled out RSA below 2048 bits since 2013.',
    failed: 'key: an RSA key needs 2048 bits, this one has 1024',
    ...client(requestOf(jane, { key: 'rsa-1024' })),
  },
  {
    what: 'a key on P-224',
    reason: 'No TLS library here negotiates P-224, and its 112 bits are below what the other curves give.',
    failed: 'key: keys on the curve P-224 are not certified',
    ...client(requestOf(jane, { key: 'ec-p224' })),
  },
  {
    what: 'a request signed with SHA-1',
    reason: 'A signature with SHA-1 proves little about who made the request.',
    failed: 'signature: the request is signed with SHA-1',
    ...client(requestOf(jane, { algorithm: hex('300906072a8648ce3d0401'), hash: 'sha1' })),
  },
  {
    what: 'the CA bit',
    reason: 'Upstream drops what it does not grant; here whoever asks to be a CA is told that it never is.',
    failed: 'basicConstraints: a CA certificate was asked for, which is never given',
    ...client(requestOf(jane, { extensions: [caTrue] })),
  },
  {
    what: "key usages of a CA in the request's own extensions",
    reason: 'As with the CA bit; usages come from spec.usages only.',
    failed: 'keyUsage: the request asks for key usages of a CA',
    ...client(requestOf(jane, { extensions: [certSign] })),
  },
  {
    what: 'a name of another kind beside a good one',
    reason: 'Upstream drops it in silence, and the certificate is not the one that was asked for.',
    failed: 'subjectAltName[1]: names of type [0] are not issued',
    signerName: signers.serving,
    der: requestOf(nodeA, { names: [dns('node-a.example.com'), otherName] }),
    usages: ['digital signature', 'server auth'],
  },
  {
    what: 'a control character in the subject',
    reason: 'It has no meaning in a name, and can forge a line in the logs of whoever prints it.',
    failed: 'subject: the attribute CN=a\\0ab has a control character',
    ...client(requestOf([['CN', 'a\nb']])),
  },
  {
    what: 'an address in a DNS name',
    reason: 'Verifiers compare addresses with iPAddress only (RFC 9525), so such a name never matches.',
    failed: 'subjectAltName[0]: dns name "10.0.0.1" is an address, which belongs into an iPAddress',
    ...client(requestOf(jane, { names: [dns('10.0.0.1')] })),
  },
  {
    what: 'a DNS name with other characters than letters, digits and hyphens',
    reason: 'RFC 5280 allows host names only; what verifiers make of others differs.',
    failed: 'subjectAltName[0]: dns name "_a.example.com" has a character other than letters, digits and hyphens',
    ...client(requestOf(jane, { names: [dns('_a.example.com')] })),
  },
  {
    what: 'neither a subject nor a name',
    reason: 'A certificate that names nobody identifies nobody.',
    failed: 'the certificate breaks its rules: the certificate names nobody',
    ...client(requestOf([])),
  },
  {
    what: 'an organization that looks like system:masters, or begins with rotunda:',
    reason: 'A consumer that compares without case would read it as the cluster administrators.',
    failed: 'the organizations "System:Masters" are reserved',
    ...client(
      requestOf([
        ['O', 'System:Masters'],
        ['CN', 'jane'],
      ]),
    ),
  },
];
