/**
 * The bytes of a kubelet's create body, written field by field as gogo-protobuf does (empty strings and messages are
 * written out). Kept apart from the service's decoder on purpose.
 */
const lengthDelimited = (field: number, content: Buffer | string): Buffer => {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([Buffer.from([(field << 3) | 2]), varint(bytes.length), bytes]);
};

function varint(value: number): Buffer {
  const out: number[] = [];
  let left = value;
  while (left > 0x7f) {
    out.push((left & 0x7f) | 0x80);
    left >>>= 7;
  }
  return Buffer.from([...out, left]);
}

export type CreateBody = {
  readonly name: string;
  readonly generateName: string;
  readonly requestPem: string;
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
};

/** `k8s\0` and an Unknown message around a CertificateSigningRequest. */
export function protobufCreateBody(body: CreateBody): Buffer {
  const metadata = Buffer.concat([
    lengthDelimited(1, body.name),
    lengthDelimited(2, body.generateName),
    ...[3, 4, 5, 6].map((field) => lengthDelimited(field, '')),
    Buffer.from([7 << 3, 0]),
    lengthDelimited(8, ''),
  ]);
  const spec = Buffer.concat([
    lengthDelimited(1, body.requestPem),
    lengthDelimited(2, ''),
    lengthDelimited(3, ''),
    ...body.usages.map((usage) => lengthDelimited(5, usage)),
    lengthDelimited(7, body.signerName),
    ...(body.expirationSeconds === undefined ? [] : [Buffer.from([8 << 3]), varint(body.expirationSeconds)]),
  ]);
  const raw = Buffer.concat([lengthDelimited(1, metadata), lengthDelimited(2, spec), lengthDelimited(3, '')]);
  const typeMeta = Buffer.concat([
    lengthDelimited(1, 'certificates.k8s.io/v1'),
    lengthDelimited(2, 'CertificateSigningRequest'),
  ]);
  return Buffer.concat([
    Buffer.from('k8s\0'),
    lengthDelimited(1, typeMeta),
    lengthDelimited(2, raw),
    lengthDelimited(3, ''),
    lengthDelimited(4, ''),
  ]);
}

/** The same body as JSON, as clients before protobuf sent it. */
export function jsonCreateBody(body: CreateBody): Buffer {
  const { name, generateName, requestPem, signerName, usages, expirationSeconds } = body;
  return Buffer.from(
    JSON.stringify({
      kind: 'CertificateSigningRequest',
      apiVersion: 'certificates.k8s.io/v1',
      metadata: { ...(name === '' ? { generateName } : { name }), creationTimestamp: null },
      spec: {
        request: Buffer.from(requestPem).toString('base64'),
        signerName,
        ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
        usages,
      },
      status: {},
    }),
  );
}
