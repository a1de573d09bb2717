import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import type { z } from 'zod';

import { type CauseReason, type ErrorCode, errorCatalogue, RotundaError } from '../../errors.js';
import { type BundleBody, bundleBody } from '../public/bundle.js';
import type { fieldErrorSchema, problemSchema } from './schemas.js';

type Problem = z.output<typeof problemSchema>;
type FieldError = z.output<typeof fieldErrorSchema>;

/** Answers any error as problem details. What is not a RotundaError or the framework's own 4xx is a defect: logged whole, answered without detail. */
export function renderProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asRotundaError(error);
  if (known === undefined) request.log.error({ err: error }, 'unexpected error');
  else if (known.status >= 500) request.log.warn({ err: known }, 'cannot answer');
  const shown = known ?? new RotundaError('internal', 'the service met an error that it did not expect');
  const { retryAfterSeconds } = shown.details;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(Math.ceil(retryAfterSeconds)));
  if (shown.code === 'unauthorized') reply.header('www-authenticate', 'Bearer realm="rotunda"');
  return reply
    .code(shown.status)
    .header('cache-control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify(problemOf(shown)));
}

/** The problem details of one error. */
export function problemOf(error: RotundaError): Problem & { bundle?: BundleBody } {
  const { causes, hint, object, bundle } = error.details;
  const entry = errorCatalogue[error.code];
  return {
    type: `urn:rotunda:problem:${error.code}`,
    title: entry.title,
    status: entry.status,
    code: error.code,
    detail: error.message,
    ...(hint === undefined ? {} : { hint }),
    ...instanceOf(object),
    ...(causes === undefined || causes.length === 0 ? {} : { errors: causes.map(fieldErrorOf) }),
    ...(bundle === undefined ? {} : { bundle: bundleBody(bundle) }),
  };
}

function fieldErrorOf(cause: { field?: string; reason: CauseReason; message: string; hint?: string }): FieldError {
  return {
    ...(cause.field === undefined || cause.field === '' ? {} : { field: fieldName(cause.field) }),
    rule: cause.reason,
    message: cause.message,
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
  };
}

/** The rooms name fields as they see them: a request is a Kubernetes object, whose spec is the body here, and times have no unit of their own. */
function fieldName(field: string): string {
  return field === 'ttlMs' ? 'ttlSeconds' : field.replace(/^(spec|metadata)\./, '');
}

function instanceOf(object: RotundaError['details']['object']): { instance?: string } {
  const { resource, name } = object ?? {};
  if (resource === undefined || name === undefined) return {};
  const collection = resource === 'certificatesigningrequests' ? 'requests' : resource;
  return { instance: `/pki/v1/${collection}/${encodeURIComponent(name)}` };
}

function asRotundaError(error: unknown): RotundaError | undefined {
  if (error instanceof RotundaError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) return validationError(error);
  return frameworkError(error);
}

type ZodProblem = { validation: readonly Issue[]; validationContext?: string | undefined };
type Issue = { keyword: string; instancePath: string; message?: string; params: Record<string, unknown> };

function validationError(error: ZodProblem): RotundaError {
  const where = error.validationContext ?? 'body';
  const causes = error.validation.flatMap((issue) => causesOf(issue, where));
  const listed = causes.map((cause) => (cause.field === '' ? cause.message : `${cause.field}: ${cause.message}`));
  return new RotundaError('invalid', listed.join('; '), { causes });
}

function causesOf(
  issue: Issue,
  where: string,
): { field: string; reason: CauseReason; message: string; hint?: string }[] {
  const field = fieldPath(issue.instancePath);
  const message = issue.message ?? 'is not valid';
  if (issue.keyword === 'unrecognized_keys' && Array.isArray(issue.params['keys'])) {
    const what = where === 'querystring' ? 'query parameter' : 'field';
    return issue.params['keys'].map((key: unknown) => ({
      field: field === '' ? String(key) : `${field}.${String(key)}`,
      reason: 'FieldValueForbidden' as const,
      message: `there is no such ${what}`,
      hint: 'openapi.yaml lists what is understood',
    }));
  }
  return [{ field, reason: reasonOf(issue), message: message.charAt(0).toLowerCase() + message.slice(1) }];
}

function reasonOf(issue: Issue): CauseReason {
  if (issue.keyword === 'invalid_type' && issue.message?.includes('received undefined') === true)
    return 'FieldValueRequired';
  if (issue.keyword === 'invalid_value') return 'FieldValueNotSupported';
  if (issue.keyword === 'too_big') return 'FieldValueTooLong';
  return 'FieldValueInvalid';
}

/** `/addresses/0` as `addresses[0]`. */
function fieldPath(pointer: string): string {
  return pointer
    .split('/')
    .filter((part) => part !== '')
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`), '');
}

const frameworkCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported-media-type',
};

function frameworkError(error: unknown): RotundaError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode } = error as Partial<FastifyError>;
  const mapped = code === undefined ? undefined : frameworkCodes[code];
  if (mapped !== undefined) return new RotundaError(mapped, plain(error.message), { cause: error });
  if (statusCode === 429) return new RotundaError('too-many-requests', plain(error.message), { cause: error });
  if (statusCode === 503) return new RotundaError('unavailable', plain(error.message), { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new RotundaError('bad-request', plain(error.message), { cause: error });
  }
  return undefined;
}

function plain(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
