import type { FieldCause } from '../errors.js';
import { cause, type Checked, checkAddress, checkDnsName } from './names.js';

export type EtcdUrls = {
  /** As given, without a trailing slash, in the order given. */
  readonly urls: readonly string[];
  readonly addresses: readonly string[];
  readonly dnsNames: readonly string[];
  readonly causes: readonly FieldCause[];
};

const mostUrls = 16;
const form = /^https:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([1-9][0-9]{0,4})\/?$/;

/**
 * Reads a member's advertised URLs. Only `https://HOST:PORT`, as etcd itself wants it (an explicit port, no path, no
 * user): plain http is refused because a member without TLS needs no certificate, and enrolling it would hide the gap.
 * Each host becomes an address or a DNS name that the member's certificates may carry.
 */
export function readEtcdUrls(field: string, texts: readonly string[]): EtcdUrls {
  if (texts.length > mostUrls) {
    const message = `must have at most ${mostUrls} entries`;
    return { urls: [], addresses: [], dnsNames: [], causes: [{ field, reason: 'FieldValueTooLong', message }] };
  }
  const urls: string[] = [];
  const addresses: string[] = [];
  const dnsNames: string[] = [];
  const causes: FieldCause[] = [];
  texts.forEach((text, index) => {
    const read = readUrl(text);
    if ('problem' in read) {
      causes.push(cause(`${field}[${index}]`, text, read.problem));
      return;
    }
    urls.push(read.url);
    (read.kind === 'ip' ? addresses : dnsNames).push(read.host);
  });
  return { urls: [...new Set(urls)], addresses, dnsNames, causes };
}

type ReadUrl =
  { readonly url: string; readonly kind: 'ip' | 'dns'; readonly host: string } | { readonly problem: string };

function readUrl(text: string): ReadUrl {
  if (/^(http|unix|unixs):\/\//i.test(text))
    return { problem: 'must be https: etcd members are issued certificates for TLS only' };
  const match = form.exec(text);
  if (match === null || !URL.canParse(text))
    return { problem: 'must have the form https://HOST:PORT, without user, path or query' };
  const [, host = '', port = ''] = match;
  if (Number(port) > 65535) return { problem: 'must have a port of at most 65535' };
  const kind = host.startsWith('[') || /^[0-9.]+$/.test(host) ? 'ip' : 'dns';
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  const checked: Checked = kind === 'ip' ? checkAddress(bare) : checkDnsName(bare);
  if ('problem' in checked) return { problem: `host ${checked.problem}` };
  // The URL parser reads some names as numbers ("0x7f.1" is 127.0.0.1 to it): what it reads must be what was vetted.
  const parsed = new URL(text).hostname;
  if (kind === 'dns' && parsed !== checked.value) return { problem: 'host is ambiguous' };
  const shown = checked.value.includes(':') ? `[${checked.value}]` : checked.value;
  return { url: `https://${shown}:${port}`, kind, host: checked.value };
}
