import { isDeepStrictEqual } from 'node:util';

import type { FieldCause } from '../errors.js';
import { forbidden, invalidValue } from './causes.js';
import { certificateContentFault } from './certificate-content.js';
import { conditionCauses, conditionChangeCauses, preserved, withTimes } from './conditions.js';
import { requestInvalid } from './errors.js';
import { metadataCauses, newFinalizerCauses } from './metadata.js';
import { hasKeys } from './object.js';
import type { CertificateRequest, Condition, ObjectMeta, RequestStatus, UpdateEndpoint } from './types.js';

/**
 * What upstream's PrepareForUpdate makes of the wanted object: metadata that clients own is taken, on `/approval` also
 * conditions, on `/status` conditions and certificate; everything else is the stored object's, without an error.
 */
export function prepareUpdate(
  endpoint: UpdateEndpoint,
  wanted: CertificateRequest,
  stored: CertificateRequest,
  now: string,
): CertificateRequest {
  return {
    metadata: updatedMetadata(wanted.metadata, stored.metadata),
    spec: stored.spec,
    status: updatedStatus(endpoint, wanted, stored, now),
  };
}

function updatedMetadata(wanted: ObjectMeta, stored: ObjectMeta): ObjectMeta {
  const metadata: ObjectMeta = { ...stored };
  delete metadata.generateName;
  delete metadata.labels;
  delete metadata.annotations;
  delete metadata.ownerReferences;
  delete metadata.finalizers;
  delete metadata.managedFields;
  if (wanted.generateName) metadata.generateName = wanted.generateName;
  if (hasKeys(wanted.labels)) metadata.labels = wanted.labels;
  if (hasKeys(wanted.annotations)) metadata.annotations = wanted.annotations;
  if (wanted.ownerReferences?.length) metadata.ownerReferences = wanted.ownerReferences;
  if (wanted.finalizers?.length) metadata.finalizers = wanted.finalizers;
  if (wanted.managedFields?.length) metadata.managedFields = wanted.managedFields;
  return metadata;
}

function updatedStatus(
  endpoint: UpdateEndpoint,
  wanted: CertificateRequest,
  stored: CertificateRequest,
  now: string,
): RequestStatus {
  if (endpoint === 'main') return stored.status;
  const before = stored.status.conditions ?? [];
  let conditions: Condition[] = withTimes(wanted.status.conditions ?? [], before, now);
  if (endpoint === 'status')
    for (const type of ['Approved', 'Denied']) conditions = preserved(conditions, before, type);
  const certificate = (endpoint === 'status' ? wanted : stored).status.certificate;
  return { ...(conditions.length === 0 ? {} : { conditions }), ...(certificate ? { certificate } : {}) };
}

/**
 * Upstream's ValidateCertificateSigningRequestUpdate over the prepared object, causes in its order. Throws RotundaError
 * 'invalid'.
 */
export function validateUpdate(
  endpoint: UpdateEndpoint,
  prepared: CertificateRequest,
  stored: CertificateRequest,
): void {
  const certificateChanged = prepared.status.certificate !== stored.status.certificate;
  const causes: FieldCause[] = [...metadataCauses(prepared.metadata), ...conditionCauses(prepared, stored)];
  if (certificateChanged && prepared.status.certificate !== undefined) {
    const fault = certificateContentFault(prepared.status.certificate);
    if (fault !== undefined) causes.push(invalidValue('status.certificate', '<certificate data>', fault));
  }
  causes.push(...conditionChangeCauses(prepared, stored, endpoint === 'approval'));
  if (certificateChanged && stored.status.certificate !== undefined) {
    causes.push(forbidden('status.certificate', 'updates may not modify existing certificate content'));
  }
  causes.push(...newFinalizerCauses(prepared.metadata, stored.metadata));
  if (causes.length > 0) throw requestInvalid(stored.metadata.name, causes);
}

/** Whether writing would change nothing: then nothing is written and the resourceVersion stays. */
export function isSame(prepared: CertificateRequest, stored: CertificateRequest): boolean {
  return isDeepStrictEqual(plain(prepared), plain(stored));
}

function plain(request: CertificateRequest): unknown {
  return JSON.parse(JSON.stringify(request));
}
