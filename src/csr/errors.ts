import { invalid, type FieldCause, RotundaError } from '../errors.js';

const group = 'certificates.k8s.io';
const resource = 'certificatesigningrequests';
const kind = 'CertificateSigningRequest';

/** Errors about one request name it by its resource, broken field rules and delete preconditions by its kind, as upstream does. */
export function requestNotFound(name: string): RotundaError {
  return new RotundaError('not-found', `there is no request ${JSON.stringify(name)}`, {
    object: { group, resource, name },
  });
}

export function requestExists(name: string, generated: boolean): RotundaError {
  const subject = `${resource}.${group} ${JSON.stringify(name)} already exists`;
  const message = generated ? `${subject}, the server was not able to generate a unique name for the object` : subject;
  return new RotundaError('already-exists', message, { object: { group, resource, name } });
}

export function requestForbidden(name: string, message: string): RotundaError {
  return new RotundaError('forbidden', message, { object: { group, resource, name } });
}

export function requestConflict(name: string, message: string): RotundaError {
  return new RotundaError('conflict', message, { object: { group, resource, name } });
}

export function deleteConflict(name: string, message: string): RotundaError {
  return new RotundaError('conflict', message, { object: { group, kind, name } });
}

export function requestInvalid(name: string, causes: readonly FieldCause[]): RotundaError {
  return invalid(causes, { group, kind, name });
}
