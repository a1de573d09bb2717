import { isIP } from 'node:net';

const MAX_DNS_LENGTH = 253;
const MAX_LABEL_LENGTH = 63;
const localPart = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/;
const uriCharacters = /^(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*$/;
const uriStart = /^[A-Za-z][A-Za-z0-9+.-]*:/;
/** An authority without user information: a name (SPIFFE's may have underscores) or an address, and perhaps a port. */
const uriAuthority = /^(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/**
 * What is wrong with a DNS name, undefined when nothing is: letters, digits and hyphens in labels of 1 to 63, 253 in
 * all, no final dot (RFC 1034 section 3.5, RFC 5280 section 4.2.1.6), a single leading `*.` allowed (RFC 9525
 * section 6.3), and not an address in text form.
 */
export function dnsNameFault(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name.length > MAX_DNS_LENGTH) return `is longer than ${MAX_DNS_LENGTH} characters`;
  const wildcard = name.startsWith('*.');
  if (wildcard && !name.includes('.', 2)) return 'has a wildcard with fewer than two labels behind it';
  const fault = labelsFault(name, wildcard ? 2 : 0);
  if (fault !== undefined) return fault;
  return isIP(name) === 0 ? undefined : 'is an address, which belongs into an iPAddress';
}

function labelsFault(name: string, from: number): string | undefined {
  let start = from;
  for (let at = from; at <= name.length; at += 1) {
    const c = at < name.length ? name.charCodeAt(at) : 0x2e;
    if (c === 0x2e) {
      if (at === start) return 'has an empty label';
      if (at - start > MAX_LABEL_LENGTH) return `has a label longer than ${MAX_LABEL_LENGTH} characters`;
      if (name[start] === '-' || name[at - 1] === '-') return 'has a label that starts or ends with a hyphen';
      start = at + 1;
    } else if (!isLetterDigitHyphen(c)) return 'has a character other than letters, digits and hyphens';
  }
  return undefined;
}

function isLetterDigitHyphen(c: number): boolean {
  return (c >= 0x61 && c <= 0x7a) || (c >= 0x30 && c <= 0x39) || c === 0x2d || (c >= 0x41 && c <= 0x5a);
}

/** What is wrong with a mailbox (RFC 5321 without quoting, comments or address literals). */
export function emailFault(mailbox: string): string | undefined {
  const at = mailbox.lastIndexOf('@');
  if (at < 1 || !localPart.test(mailbox.slice(0, at))) return 'is not a mailbox';
  const domain = mailbox.slice(at + 1);
  return domain.startsWith('*') || dnsNameFault(domain) !== undefined ? 'has no valid domain' : undefined;
}

/** What is wrong with a URI: absolute, with a scheme and more, in the characters of RFC 3986. */
export function uriFault(uri: string): string | undefined {
  const scheme = uriStart.exec(uri)?.[0];
  if (scheme === undefined || scheme.length === uri.length) return 'is not an absolute URI';
  if (uri.length > 2048) return 'is longer than 2048 characters';
  if (!uriCharacters.test(uri)) return 'has characters that a URI does not have';
  const rest = uri.slice(scheme.length);
  if (rest.startsWith('//') && !uriAuthority.test(rest.slice(2).split(/[/?#]/, 1)[0] ?? '')) return 'has no valid host';
  return URL.canParse(uri) ? undefined : 'is not a URI';
}
