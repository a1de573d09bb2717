import { RotundaError } from '../../errors.js';

/** A certificate as RFC 9773, 4.1 names it, or by its serial alone. Lower-case hex. */
export type CertificateId = { readonly serial: string; readonly authority: string | undefined };

const ari = /^([A-Za-z0-9_-]{1,171})\.([A-Za-z0-9_-]{1,43})$/;
const hex = /^[0-9a-fA-F]{1,64}$/;

/**
 * Reads `base64url(keyIdentifier of the AKI).base64url(DER value of the serial)`, both without padding, or a serial in
 * hex, with colons or without. Throws RotundaError 'bad-request'.
 */
export function parseCertificateId(text: string): CertificateId {
  const [, authority, serial] = ari.exec(text) ?? [];
  if (authority !== undefined && serial !== undefined && isCanonical(authority) && isCanonical(serial)) {
    const octets = Buffer.from(serial, 'base64url').toString('hex');
    // A serial whose first bit is set has an octet of zeros before it, in DER and not in print.
    return {
      serial: octets.replace(/^00(?=[89a-f])/, ''),
      authority: Buffer.from(authority, 'base64url').toString('hex'),
    };
  }
  const plain = text.replaceAll(':', '');
  if (hex.test(plain)) return { serial: plain.toLowerCase(), authority: undefined };
  throw new RotundaError('bad-request', `${JSON.stringify(text.slice(0, 100))} names no certificate`, {
    hint: 'give base64url(authority key identifier).base64url(serial number) as in RFC 9773, or the serial in hex',
  });
}

/** As parseCertificateId reads it. */
export function certificateId(serial: string, authority: string): string {
  const octets = /^[89a-f]/.test(serial) ? `00${serial}` : serial;
  return [authority, octets].map((part) => Buffer.from(part, 'hex').toString('base64url')).join('.');
}

/** Bits that are left over must be zero, or one certificate had several names. */
function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}
