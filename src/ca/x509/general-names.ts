import { type Cursor, type Element, atEnd, cursorOver, derError, enter, takeAny, tags } from './der.js';
import { element, sequence, textElement } from './der-writer.js';
import { ipOctets, ipText, isMappedIpv4 } from './ip.js';
import { dnsNameFault, emailFault, uriFault } from './name-rules.js';
import { asciiText } from './text.js';
import type { AltName } from './types.js';

const nameTags = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 } as const;

/** Why a requested name is never signed: its place among the names, the rule, what is wrong. */
export type NameFault = { readonly index: number; readonly rule: string; readonly message: string };

export type ReadNames = { readonly names: readonly AltName[]; readonly faults: readonly NameFault[] };

/**
 * Reads a subjectAltName. Every name is in `names` or in `faults`, none is passed over: a name that is not seen
 * cannot be vetted. Throws `invalid` where upstream's parser does (RFC 5280 section 4.2.1.6).
 */
export function readGeneralNames(der: Buffer): ReadNames {
  const outer = cursorOver(der);
  const inner = enter(outer, tags.sequence, 'subjectAltName');
  const names: AltName[] = [];
  const faults: NameFault[] = [];
  if (atEnd(inner)) faults.push({ index: 0, rule: 'san-empty', message: 'the subjectAltName is empty' });
  for (let index = 0; !atEnd(inner); index += 1) readOne(inner, index, names, faults);
  if (!atEnd(outer)) faults.push({ index: 0, rule: 'encoding', message: 'there is data behind the subjectAltName' });
  return { names, faults };
}

function readOne(cursor: Cursor, index: number, names: AltName[], faults: NameFault[]): void {
  const at = takeAny(cursor);
  const name = readName(cursor.bytes, at);
  if (name === undefined) {
    faults.push({ index, rule: 'san-type', message: `names of type [${at.tag & 0x1f}] are not issued` });
    return;
  }
  const { kind, value, fault } = name;
  if (fault === undefined) names.push({ kind, value });
  else
    faults.push({
      index,
      rule: `san-${kind}`,
      message: `${kind} name ${JSON.stringify(value.slice(0, 80))} ${fault}`,
    });
}

type RawName = AltName & { readonly fault: string | undefined };

function readName(bytes: Buffer, { tag, content, end }: Element): RawName | undefined {
  switch (tag) {
    case nameTags.dns: {
      const value = ascii(bytes, content, end, 'dNSName');
      return { kind: 'dns', value, fault: dnsNameFault(value) };
    }
    case nameTags.ip:
      return readIp(bytes.subarray(content, end));
    case nameTags.email: {
      const value = ascii(bytes, content, end, 'rfc822Name');
      return { kind: 'email', value, fault: emailFault(value) };
    }
    case nameTags.uri:
      return readUri(ascii(bytes, content, end, 'uniformResourceIdentifier'));
    default:
      return undefined;
  }
}

function ascii(bytes: Buffer, from: number, to: number, what: string): string {
  const text = asciiText(bytes, from, to);
  if (text === undefined) throw derError(`x509: SAN ${what} is malformed`);
  return text;
}

function readIp(octets: Buffer): RawName {
  if (octets.length !== 4 && octets.length !== 16)
    throw derError(`x509: cannot parse IP address of length ${octets.length}`);
  const fault = isMappedIpv4(octets) ? 'is an IPv4 address mapped into IPv6' : undefined;
  return { kind: 'ip', value: ipText(octets), fault };
}

/** Go's url.Parse refuses control characters and broken escapes; upstream answers those at create. */
function readUri(value: string): RawName {
  if (/\p{Cc}|%(?![0-9A-Fa-f]{2})/u.test(value))
    throw derError(`x509: cannot parse URI ${JSON.stringify(value.slice(0, 80))}`);
  return { kind: 'uri', value, fault: uriFault(value) };
}

/** What keeps a name out of every certificate, undefined when nothing does. */
export function altNameFault({ kind, value }: AltName): string | undefined {
  switch (kind) {
    case 'dns':
      return dnsNameFault(value);
    case 'ip':
      return ipOctets(value) === undefined ? 'is not the canonical text of an address' : undefined;
    case 'email':
      return emailFault(value);
    case 'uri':
      return uriFault(value);
  }
}

const kindOrder: readonly AltName['kind'][] = ['dns', 'email', 'ip', 'uri'];

/** Names in the order in which upstream's signer writes them: DNS names, mailboxes, addresses, URIs, each as asked for. */
export function orderNames(names: readonly AltName[]): readonly AltName[] {
  if (names.length < 2) return names;
  return kindOrder.flatMap((kind) => names.filter((name) => name.kind === kind));
}

/** DER of a subjectAltName value with these names, as `orderNames` orders them. Throws `invalid` for a name that breaks a rule. */
export function encodeGeneralNames(names: readonly AltName[]): Buffer {
  return sequence(...orderNames(names).map(encodeGeneralName));
}

function encodeGeneralName(name: AltName): Buffer {
  const { kind, value } = name;
  if (kind === 'ip') {
    const octets = ipOctets(value);
    if (octets === undefined)
      throw derError(`ip name ${JSON.stringify(value)} is not the canonical text of an address`);
    return element(nameTags.ip, octets);
  }
  const fault = altNameFault(name);
  if (fault !== undefined) throw derError(`${kind} name ${JSON.stringify(value)} ${fault}`);
  return textElement(nameTags[kind], value);
}
