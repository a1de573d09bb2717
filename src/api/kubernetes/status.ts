import type { FastifyReply, FastifyRequest } from 'fastify';

import { errorCatalogue, RotundaError, type ErrorDetails } from '../../errors.js';
import { targetOf } from './target.js';
import { stringifyYaml, wantsYaml } from './codec/yaml.js';

type ObjectRef = NonNullable<ErrorDetails['object']>;

export type StatusDetails = {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
  readonly retryAfterSeconds?: number;
};

/** meta/v1 Status. */
export type Status = {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Failure' | 'Success';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
};

/**
 * An error as the Status that upstream would answer. `fallback` is the object of the request's URL, for errors of the
 * rooms that do not name one. An `object` without any field stands for upstream's empty `details`.
 */
export function statusOf(error: unknown, fallback?: ObjectRef): Status {
  const known = asRotundaError(error);
  const object = known.details.object ?? (needsObject(known) ? fallback : undefined);
  const details = detailsOf(known, object);
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: known.details.continue === undefined ? {} : { continue: known.details.continue },
    status: 'Failure',
    message: messageOf(known, object),
    reason: errorCatalogue[known.code].reason,
    ...(details === undefined ? {} : { details }),
    code: known.status,
  };
}

/** Fastify's own errors by their code; whatever else is not ours is a defect and tells nothing. */
export function asRotundaError(error: unknown): RotundaError {
  if (error instanceof RotundaError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new RotundaError('too-large', 'Request entity too large: limit is 3145728');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new RotundaError('unsupported-media-type', unknownInput);
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new RotundaError('bad-request', error instanceof Error ? error.message : 'bad request', { cause: error });
  }
  return new RotundaError('internal', 'Internal error occurred', { cause: error });
}

export const unknownInput =
  'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf';

/** Answers with the Status of an error, in YAML for who accepts nothing else. Defects are logged with their cause. */
export function renderStatus(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asRotundaError(error);
  if (known.code === 'internal') {
    request.log.error(
      { err: known.details.cause ?? known, method: request.method, path: request.url.split('?', 1)[0] },
      'request failed',
    );
  }
  const status = statusOf(known, targetOf(request)?.object);
  const { retryAfterSeconds } = known.details;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  reply.code(known.status);
  if (wantsYaml(request.headers.accept))
    return reply.header('content-type', 'application/yaml').send(Buffer.from(stringifyYaml(status)));
  return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify(status)));
}

function needsObject(error: RotundaError): boolean {
  switch (error.code) {
    case 'not-found':
    case 'already-exists':
    case 'forbidden':
    case 'invalid':
      return true;
    case 'conflict':
      return error.details.causes === undefined;
    default:
      return false;
  }
}

function detailsOf(error: RotundaError, object: ObjectRef | undefined): StatusDetails | undefined {
  const { causes, retryAfterSeconds } = error.details;
  if (object === undefined && causes === undefined && retryAfterSeconds === undefined) return undefined;
  const kind = error.code === 'invalid' ? object?.kind : (object?.resource ?? object?.kind);
  return {
    ...(object?.name ? { name: object.name } : {}),
    ...(object?.group ? { group: object.group } : {}),
    ...(kind ? { kind } : {}),
    ...(object?.uid ? { uid: object.uid } : {}),
    ...(causes === undefined
      ? {}
      : {
          causes: causes.map(({ reason, message, field }) => ({
            reason,
            message,
            ...(field === undefined ? {} : { field }),
          })),
        }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

function messageOf(error: RotundaError, object: ObjectRef | undefined): string {
  const { code, message } = error;
  if (object === undefined) return message;
  const resource = object.resource === undefined ? undefined : qualified(object.resource, object.group);
  const name = `"${object.name ?? ''}"`;
  if (code === 'invalid')
    return object.kind === undefined && message.includes('rejected our request')
      ? message
      : invalidMessage(message, object);
  if (resource === undefined && object.kind === undefined) return message;
  const subject = resource ?? qualified(object.kind ?? '', object.group);
  if (code === 'not-found') return `${subject} ${name} not found`;
  if (code === 'already-exists')
    return message.includes(' already exists') && message.startsWith(subject)
      ? message
      : `${subject} ${name} already exists`;
  if (code === 'conflict')
    return message.startsWith('Operation cannot')
      ? message
      : `Operation cannot be fulfilled on ${subject} ${name}: ${message}`;
  if (code === 'forbidden') {
    if (message.includes(' is forbidden: ')) return message;
    return `${subject} ${object.name ? `${name} ` : ''}is forbidden: ${message}`;
  }
  return message;
}

function invalidMessage(message: string, object: ObjectRef): string {
  if (/ is invalid: /.test(message.slice(0, 400)) && message.startsWith(qualified(object.kind ?? '', object.group))) {
    if (object.kind !== undefined || object.group !== undefined) return message;
  }
  return `${qualified(object.kind ?? '', object.group)} "${object.name ?? ''}" is invalid: ${message}`;
}

function qualified(kind: string, group: string | undefined): string {
  return group === undefined || group === '' ? kind : `${kind}.${group}`;
}
