import {
  altNames,
  attribute,
  buildRequest,
  extension,
  extensionRequest,
  hex,
  name,
  oids,
  rdn,
  type RequestParts,
  tlv,
  utf8,
} from '../../../ca/x509/requests.js';

export const signers = {
  client: 'kubernetes.io/kube-apiserver-client',
  kubelet: 'kubernetes.io/kube-apiserver-client-kubelet',
  serving: 'kubernetes.io/kubelet-serving',
} as const;

export type Asked = {
  readonly signerName: string;
  /** The request, DER. */
  readonly der: Buffer;
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
};

const attributes = {
  C: oids.country,
  O: oids.organization,
  OU: oids.organizationalUnit,
  CN: oids.commonName,
  emailAddress: oids.email,
} as const;

export type Subject = readonly (readonly [keyof typeof attributes, string])[];

export const nodeA: Subject = [
  ['O', 'system:nodes'],
  ['CN', 'system:node:node-a'],
];

/** A name of a kind that certificates here never have: a Microsoft user principal name. */
export const otherName = tlv(0xa0, hex('060a2b060104018237140203'), tlv(0xa0, utf8('x@example.com')));
export const caTrue = extension(oids.basicConstraints, hex('30030101ff'));
export const certSign = extension(oids.keyUsage, hex('03020106'));
export const subjectKeyId = extension(oids.subjectKeyIdentifier, hex('040401020304'));

/** A request with a subject in the order given, names and further extensions. */
export function requestOf(
  subject: Subject,
  content: { readonly names?: readonly Buffer[]; readonly extensions?: readonly Buffer[] } & RequestParts = {},
): Buffer {
  const { names = [], extensions = [], ...parts } = content;
  const asked = [...(names.length === 0 ? [] : [altNames(...names)]), ...extensions];
  return buildRequest({
    ...parts,
    subject: name(...subject.map(([type, value]) => rdn(attribute(attributes[type], utf8(value))))),
    attributes: asked.length === 0 ? [] : [extensionRequest(...asked)],
  });
}
