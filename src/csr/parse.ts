import { readCsr } from '../ca/x509/csr.js';
import { decodePem, type PemMode } from '../ca/x509/pem.js';
import type { ReadCsr } from '../ca/x509/types.js';
import { RotundaError } from '../errors.js';

export type ParsedCsr = { readonly csr: ReadCsr } | { readonly fault: string };

/**
 * The CSR inside `spec.request` (base64 of PEM text), its signature verified, or why it is none, in upstream's words.
 * Throws RotundaError 'too-large'.
 */
export function parseRequest(request: string | undefined, pem: PemMode): ParsedCsr {
  try {
    return {
      csr: readCsr(decodePem(Buffer.from(request ?? '', 'base64'), { label: 'CERTIFICATE REQUEST', mode: pem })),
    };
  } catch (error) {
    if (error instanceof RotundaError && error.code === 'invalid') {
      return { fault: error.details.causes?.[0]?.message ?? error.message };
    }
    throw error;
  }
}
