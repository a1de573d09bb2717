import type { Logger } from 'pino';

import type { Bundle } from '../ca/types.js';
import { backendOf, certificatesApi } from './api-services.js';
import type { ClusterClient } from './client.js';
import { certificatesApiService } from './manifests.js';
import type { AttachmentRecord } from './record.js';

/** Whether the API server verifies this service with the ring's current bundle. */
export type SinkState = {
  /**
   * `manual`: no credential, somebody has to write it; `detached`: the group is not this service's; `behind`: it could not
   * be written.
   */
  readonly state: 'in-step' | 'behind' | 'detached' | 'manual';
  /** Of the ring that serves. */
  readonly generation: number;
  readonly problem?: string;
};

export type CaBundleSink = {
  /** Writes the bundle if it is another one, unless another replica does. Never rejects: what went wrong is in the state. */
  keep(
    client: ClusterClient | undefined,
    record: AttachmentRecord | undefined,
    options?: { readonly readOnly?: boolean },
  ): Promise<void>;
  state(): SinkState | undefined;
};

const path = `/apis/apiregistration.k8s.io/v1/apiservices/${certificatesApiService}`;

/** Keeps `spec.caBundle` of the APIService equal to the bundle of the ring that this service's certificate is from. */
export function caBundleSink(options: { readonly bundle: () => Bundle; readonly logger: Logger }): CaBundleSink {
  const { bundle, logger } = options;
  let state: SinkState | undefined;
  return {
    state: () => state,
    keep: async (client, record, { readOnly = false } = {}) => {
      if (record === undefined) {
        state = undefined;
        return;
      }
      const { generation, pem, digest } = bundle();
      if (client === undefined) {
        state = { state: 'manual', generation };
        return;
      }
      try {
        const written = await write(client, record, { pem, readOnly });
        if (written === 'written') logger.info({ digest, generation }, 'wrote the bundle into the APIService');
        if (written === 'left') state = { state: 'behind', generation, problem: 'another replica writes it' };
        else state = { state: written === 'detached' ? 'detached' : 'in-step', generation };
      } catch (error) {
        logger.warn({ err: error }, 'the bundle could not be written into the APIService; it is tried again');
        state = { state: 'behind', generation, problem: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}

async function write(
  client: ClusterClient,
  { service }: AttachmentRecord,
  { pem, readOnly }: { readonly pem: string; readonly readOnly: boolean },
): Promise<'written' | 'same' | 'detached' | 'left'> {
  const found = await certificatesApi(client);
  const backend = backendOf(found);
  if (backend?.name !== service.name || backend.namespace !== service.namespace) return 'detached';
  const caBundle = Buffer.from(pem).toString('base64');
  if (found.spec.caBundle === caBundle) return 'same';
  if (readOnly) return 'left';
  // With the version, so that somebody who gives the group back in between is not overwritten.
  const { resourceVersion } = found.metadata;
  await client.patch(path, { metadata: { resourceVersion }, spec: { caBundle } });
  return 'written';
}

/**
 * Why a rotation of the ring that serves cannot go on by itself: its bundle is a copy in the APIService that nobody but
 * an administrator keeps. Undefined where the service keeps it, or is not attached.
 */
export function manualSinkBlocker(
  state: SinkState | undefined,
  generation: number,
): { readonly sink: string; readonly unblock: string } | undefined {
  if (state === undefined || state.state === 'detached') return undefined;
  if (state.state === 'in-step' && state.generation === generation) return undefined;
  const sink = `spec.caBundle of the APIService ${certificatesApiService}`;
  if (state.state === 'manual')
    return { sink, unblock: 'rotunda kubernetes attach writes it, and stores a credential to keep it in step' };
  return { sink, unblock: state.problem ?? 'the service writes it within a minute' };
}
