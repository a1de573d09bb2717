import { createHash } from 'node:crypto';

import type { FastifyReply } from 'fastify';

import type { CertificateRequest } from '../../../csr/types.js';
import { RotundaError } from '../../../errors.js';
import type { Call } from '../call.js';
import { groupVersion, kind } from '../kinds.js';
import { getIfAny } from '../requests/read.js';
import { sendValue } from '../render.js';
import { first } from '../target.js';

const holdReason = 'rotunda.dev/hold-reason';
const retryAt = 'rotunda.dev/retry-at';

/**
 * core/v1 events, for `kubectl describe csr`: a held request has one Event that says why it waits. Events are not stored;
 * only a selector by the object's name finds one.
 */
export async function listEvents(call: Call): Promise<FastifyReply> {
  const terms = selectorTerms(first(call.query['fieldSelector']) ?? '');
  const name = terms.get('involvedObject.name');
  const wantedKind = terms.get('involvedObject.kind') ?? kind;
  const text = name === undefined || wantedKind !== kind ? undefined : await getIfAny(call.api, name);
  const request = text === undefined ? undefined : (JSON.parse(text) as CertificateRequest);
  const uid = terms.get('involvedObject.uid');
  const shown = request !== undefined && (uid === undefined || uid === '' || uid === request.metadata.uid);
  const event = shown ? holdEvent(request) : undefined;
  const resourceVersion = String(call.api.store.feed.current());
  const list = {
    kind: 'EventList',
    apiVersion: 'v1',
    metadata: { resourceVersion },
    items: event === undefined ? [] : [event],
  };
  return sendValue(call.reply, 200, list, { format: call.representation.format });
}

function holdEvent({ metadata }: CertificateRequest): unknown {
  const reason = metadata.annotations?.[holdReason];
  if (reason === undefined) return undefined;
  const retry = metadata.annotations?.[retryAt];
  const { name, uid, resourceVersion, creationTimestamp } = metadata;
  const hash = createHash('sha256').update(`${uid}${reason}`).digest('hex');
  return {
    metadata: {
      name: `${name}.${hash.slice(0, 16)}`,
      namespace: 'default',
      uid: uuidOf(hash),
      resourceVersion,
      creationTimestamp,
    },
    involvedObject: { kind, apiVersion: groupVersion, name, uid, resourceVersion },
    reason: 'Held',
    message: retry === undefined ? reason : `${reason} (looked at again ${retry})`,
    source: { component: 'rotunda' },
    firstTimestamp: creationTimestamp,
    lastTimestamp: creationTimestamp,
    count: 1,
    type: 'Normal',
    eventTime: null,
    reportingComponent: 'rotunda',
    reportingInstance: '',
  };
}

function uuidOf(hash: string): string {
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `5${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-');
}

function selectorTerms(selector: string): Map<string, string> {
  const terms = new Map<string, string>();
  for (const part of selector.split(',').filter((one) => one !== '')) {
    const found = /^([^=!]+)==?(.*)$/s.exec(part);
    if (found === null)
      throw new RotundaError('bad-request', `invalid selector: '${selector}'; can't understand '${part}'`);
    terms.set(found[1] ?? '', found[2] ?? '');
  }
  return terms;
}
