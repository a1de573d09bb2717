import { isRotundaSigner } from '../identity/rules.js';
import type { Attributes, Identity } from '../identity/types.js';
import { clusterPower, type Names } from './approver.js';
import { requestForbidden } from './errors.js';
import type { Parts } from './parts.js';
import { mayReach } from './rules/proxied.js';
import type { CertificateRequest, UpdateEndpoint } from './types.js';

/** What the API server says that a user of its own may do; asked before the transaction, which is no place to wait. */
export type Reviewed = {
  /** To approve, or to sign, under the request's signer name. */
  readonly signer: boolean;
  /** To do everything: asked for where an approval gives the power of the cluster itself. */
  readonly everything: boolean;
};

/** kubeadm gives this group everything; believed where nobody can be asked. */
const kubeadmAdmins = 'kubeadm:cluster-admins';

/** Undefined for whom no API server has authenticated: the roles of this service decide then. */
export async function reviewed(
  parts: Parts,
  { identity, endpoint }: { readonly identity: Identity; readonly endpoint: UpdateEndpoint },
  about: Names | undefined,
): Promise<Reviewed | undefined> {
  if (identity.proxied === undefined || endpoint === 'main' || about === undefined) return undefined;
  const profile = parts.profiles.get(about.signerName);
  // What is refused whatever the API server says needs no question.
  const isOwn = isRotundaSigner({ name: about.signerName }) || (profile !== undefined && !mayReach(identity, profile));
  if (isOwn) return { signer: false, everything: false };
  const signer = await maySigner(parts, identity, endpoint === 'approval' ? 'approve' : 'sign', about.signerName);
  const power =
    endpoint === 'approval' && profile !== undefined && about.csr !== undefined
      ? clusterPower(parts.topology, profile, about.csr)
      : undefined;
  const everything = signer && power !== undefined && (await asks(parts, identity, whole));
  return { signer, everything };
}

/** A right that only a rule for all verbs of all resources of all groups gives. */
const whole: Attributes = { verb: '*', group: '*', resource: '*' };

/** As upstream's plugins ask: for the signer by its name, then for all of its domain. */
async function maySigner(parts: Parts, identity: Identity, verb: string, signerName: string): Promise<boolean> {
  for (const name of [signerName, `${signerName.split('/')[0] ?? ''}/*`]) {
    if (await asks(parts, identity, { verb, group: 'certificates.k8s.io', resource: 'signers', name })) return true;
  }
  return false;
}

async function asks({ accessReviewer }: Parts, identity: Identity, attributes: Attributes): Promise<boolean> {
  if (identity.roles.includes('proxied-admin')) return true;
  const verdict = await accessReviewer.review(identity, attributes);
  return verdict?.allowed ?? identity.groups.includes(kubeadmAdmins);
}

/** kube-controller-manager, with one credential for all of its controllers and with one for each. */
const controllerManagers: ReadonlySet<string> = new Set([
  'system:kube-controller-manager',
  'system:serviceaccount:kube-system:certificate-controller',
]);

/**
 * Where an API server has handed the group over, this service alone decides on the signers that it serves: the controllers
 * that did so before have no say, and nobody else sets certificates. Other signers keep upstream's rules. Throws
 * RotundaError 'forbidden'.
 */
export function admitProxied(
  parts: Parts,
  { identity, endpoint }: { readonly identity: Identity; readonly endpoint: UpdateEndpoint },
  stored: CertificateRequest,
  wanted: CertificateRequest,
): void {
  if (identity.proxied === undefined || endpoint === 'main') return;
  const { signerName } = stored.spec;
  const profile = parts.profiles.get(signerName);
  if (profile === undefined) return;
  const refuse = (why: string): never => {
    throw requestForbidden(stored.metadata.name, why);
  };
  if (controllerManagers.has(identity.username)) {
    refuse(
      `requests with signerName ${JSON.stringify(signerName)} are approved and signed by Rotunda: switch these controllers off ` +
        'with kube-controller-manager --controllers=*,-certificatesigningrequest-approving-controller,-certificatesigningrequest-signing-controller',
    );
  }
  if (!mayReach(identity, profile)) {
    refuse(
      `certificates with signerName ${JSON.stringify(signerName)} are not given through the API server: decide on them at Rotunda itself, with \`rotunda request\``,
    );
  }
  if (wanted.status.certificate !== stored.status.certificate)
    refuse(`certificates with signerName ${JSON.stringify(signerName)} are set by Rotunda and by nobody else`);
}
