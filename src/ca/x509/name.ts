import { type Cursor, atEnd, cursorOver, derError, enter, finish, takeAny, takeOid, tags } from './der.js';
import { element, oid as encodeOid, sequence, setOf, textElement } from './der-writer.js';
import { decodeText, isPrintable, isWellFormed } from './text.js';
import type { DistinguishedName, NameAttribute } from './types.js';

export const attributeOids = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  province: '2.5.4.8',
  street: '2.5.4.9',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  postalCode: '2.5.4.17',
} as const;

/** RFC 4514 section 3 names, and the two that people write beside them. Everything else is shown by its OID. */
const shortNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.17': 'postalCode',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
};

/** The order and the grouping of Go's pkix.Name.ToRDNSequence (Go 1.26): all values of one of these types share an RDN. */
const sharedRdnOrder = [
  attributeOids.country,
  attributeOids.province,
  attributeOids.locality,
  attributeOids.street,
  attributeOids.postalCode,
  attributeOids.organization,
  attributeOids.organizationalUnit,
] as const;

const lastOnly = [attributeOids.commonName, attributeOids.serialNumber] as const;

/** A name as read, with what a certificate must not repeat of it. */
export type ReadName = {
  readonly attributes: DistinguishedName;
  /** What upstream passes over: attributes whose value is no string, data behind one. */
  readonly faults: readonly string[];
};

/** Reads an RDNSequence; the cursor stands at it. Throws `invalid` where upstream would. */
export function takeName(cursor: Cursor, what: string): ReadName {
  const rdns = enter(cursor, tags.sequence, what);
  const attributes: NameAttribute[] = [];
  const faults: string[] = [];
  while (!atEnd(rdns)) {
    const rdn = enter(rdns, tags.set, what);
    while (!atEnd(rdn)) {
      const pair = enter(rdn, tags.sequence, what);
      const type = takeOid(pair, what);
      const value = takeAny(pair);
      if (!atEnd(pair)) faults.push(`there is data behind the attribute ${type}`);
      const text = decodeText(rdn.bytes, value, what);
      if (text === undefined) faults.push(`the attribute ${type} is not text`);
      else attributes.push({ oid: type, value: text });
    }
  }
  return { attributes, faults };
}

/** Reads a name on its own. Throws `invalid` for anything but one well-formed RDNSequence. */
export function decodeName(der: Buffer): DistinguishedName {
  const cursor = cursorOver(der);
  const { attributes } = takeName(cursor, 'name');
  finish(cursor, 'name');
  return attributes;
}

/**
 * The subject that a certificate gets for these attributes, as upstream's signer rebuilds it: the types that Go knows,
 * in Go's order, of several common names or serial numbers the last, values of one type in the order of their encodings.
 * Other attributes are left out. Giving it its own result changes nothing.
 */
export function rebuildSubject(name: DistinguishedName): DistinguishedName {
  const out: NameAttribute[] = [];
  for (const type of sharedRdnOrder) {
    const start = out.length;
    for (const attribute of name) if (attribute.oid === type) out.push(attribute);
    if (out.length - start > 1) out.push(...sortByEncoding(out.splice(start)));
  }
  for (const type of lastOnly) {
    const last = name.findLast((a) => a.oid === type);
    if (last !== undefined && last.value !== '') out.push(last);
  }
  return out;
}

/** DER of the subject that `rebuildSubject` gives, byte for byte what upstream's signer writes. */
export function encodeSubject(name: DistinguishedName): Buffer {
  const rebuilt = rebuildSubject(name);
  const rdns: Buffer[] = [];
  for (let at = 0; at < rebuilt.length;) {
    const type = rebuilt[at]?.oid;
    const rdn: Buffer[] = [];
    for (let attribute = rebuilt[at]; attribute !== undefined && attribute.oid === type; attribute = rebuilt[at]) {
      rdn.push(encodeAttribute(attribute));
      at += 1;
    }
    rdns.push(setOf(rdn));
  }
  return sequence(...rdns);
}

/** DER of a name exactly as given: one attribute per RDN, in this order. For authorities. */
export function encodeName(name: DistinguishedName): Buffer {
  return sequence(...name.map((attribute) => setOf([encodeAttribute(attribute)])));
}

/** Last RDN first, escaped, unknown types by OID with the value as text: for people and logs, never for comparing. RFC 4514. */
export function formatDistinguishedName(name: DistinguishedName): string {
  return name
    .toReversed()
    .map(({ oid, value }) => `${shortNames[oid] ?? oid}=${escapeValue(value)}`)
    .join(',');
}

export function sameName(a: DistinguishedName, b: DistinguishedName): boolean {
  return a.length === b.length && a.every((x, i) => x.oid === b[i]?.oid && x.value === b[i].value);
}

const encodedOids = new Map<string, Buffer>(Object.values(attributeOids).map((dotted) => [dotted, encodeOid(dotted)]));

/** PrintableString where the value allows it, else UTF8String, as Go's asn1 chooses. */
function encodeAttribute({ oid, value }: NameAttribute): Buffer {
  const type = encodedOids.get(oid) ?? encodeOid(oid);
  if (!isWellFormed(value)) throw derError('asn1: string not valid UTF-8');
  if (isPrintable(value)) return sequence(type, textElement(tags.printableString, value));
  return sequence(type, element(tags.utf8String, Buffer.from(value, 'utf8')));
}

function sortByEncoding(attributes: readonly NameAttribute[]): NameAttribute[] {
  return attributes
    .map((attribute) => ({ attribute, der: encodeAttribute(attribute) }))
    .sort((a, b) => Buffer.compare(a.der, b.der))
    .map(({ attribute }) => attribute);
}

function escapeValue(value: string): string {
  const escaped = value
    .replace(/[\\",+;<>=]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ');
  // Control characters and line ends must not reach a terminal or a log line.
  return escaped.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) =>
    Buffer.from(c, 'utf8').toString('hex').replace(/../g, '\\$&'),
  );
}
