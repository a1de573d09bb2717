import { authorize } from '../identity/authorize.js';
import type { Identity } from '../identity/types.js';
import { requestForbidden } from './errors.js';
import type { ParsedCsr } from './parse.js';
import type { Reviewed } from './permission.js';
import { callingNode } from './rules/rule.js';
import { signers } from './signers.js';
import type { CertificateRequest, Profile } from './types.js';

const nodeSigners: readonly string[] = [signers.kubeletClient, signers.kubeletServing];

/**
 * NodeRestriction: a node may ask for itself only, whatever signer it names of the two that make nodes. Runs before
 * validation, as upstream's mutating admission does. Throws RotundaError 'forbidden'.
 */
export function admitNode(identity: Identity, name: string, signerName: string, parsed: ParsedCsr): void {
  if (!nodeSigners.includes(signerName)) return;
  const node = callingNode(identity);
  if (node === undefined) return;
  if ('fault' in parsed) throw requestForbidden(name, `unable to parse csr: ${parsed.fault}`);
  if (parsed.csr.commonName !== `system:node:${node}`) {
    throw requestForbidden(name, `can only create a node CSR with CN=system:node:${node}`);
  }
}

/**
 * An expired certificate renews itself: the same key, the same profile, and that one for the client certificates of nodes.
 * Throws RotundaError 'forbidden'.
 */
export function admitGraced({ graced }: Identity, name: string, profile: Profile | undefined, keyId: string): void {
  if (graced === undefined) return;
  if (profile?.approval !== 'node-client' || profile.signerName !== graced.profile)
    throw requestForbidden(name, `an expired certificate renews itself under ${graced.profile} only`);
  if (keyId !== graced.keyId)
    throw requestForbidden(name, 'an expired certificate renews itself with its own key only');
}

/** CertificateSubjectRestriction, after validation. Throws RotundaError 'forbidden'. */
export function admitSubject(name: string, signerName: string, organizations: readonly string[]): void {
  if (signerName !== signers.apiserverClient || !organizations.includes('system:masters')) return;
  throw requestForbidden(name, `use of ${signers.apiserverClient} signer with system:masters group is not allowed`);
}

/** CertificateApproval: conditions are set by who may `approve` for the stored signer name. Throws RotundaError 'forbidden'. */
export function admitApproval(
  identity: Identity,
  name: string,
  signerName: string,
  reviewed: Reviewed | undefined,
): void {
  if (reviewed?.signer ?? maySigner(identity, 'approve', signerName)) return;
  throw requestForbidden(name, `user not permitted to approve requests with signerName ${JSON.stringify(signerName)}`);
}

/** CertificateSigning: a certificate or conditions are set by who may `sign` for the stored signer name. Throws RotundaError 'forbidden'. */
export function admitSigning(
  identity: Identity,
  stored: CertificateRequest,
  wanted: CertificateRequest,
  reviewed: Reviewed | undefined,
): void {
  const same =
    stored.status.certificate === wanted.status.certificate &&
    JSON.stringify(stored.status.conditions ?? []) === JSON.stringify(wanted.status.conditions ?? []);
  const { signerName } = stored.spec;
  if (same || (reviewed?.signer ?? maySigner(identity, 'sign', signerName))) return;
  throw requestForbidden(
    stored.metadata.name,
    `user not permitted to sign requests with signerName ${JSON.stringify(signerName)}`,
  );
}

function maySigner(identity: Identity, verb: 'approve' | 'sign', signerName: string): boolean {
  if (identity.kind === 'internal') return true;
  const domain = signerName.split('/')[0] ?? '';
  return [signerName, `${domain}/*`].some(
    (name) => authorize(identity, { verb, group: 'certificates.k8s.io', resource: 'signers', name }).allowed,
  );
}
