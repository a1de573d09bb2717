import type { FastifyInstance, FastifyRequest } from 'fastify';

import { RotundaError } from '../../errors.js';
import type { Attributes, Authorize, Identity } from '../../identity/types.js';

/** What a caller needs to be allowed for a route: a verb on a resource, or to be known at all. */
export type Access =
  | {
      readonly verb: string;
      /** `rotunda.dev` when left out. */
      readonly group?: string;
      readonly resource: string;
      readonly subresource?: string;
      /** The path parameter that names the object. */
      readonly param?: string;
      /** Whether the object is about the caller itself, which may always read it. */
      readonly self?: (identity: Identity, params: Readonly<Record<string, string>>) => boolean;
    }
  | 'authenticated';

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
}

export const group = 'rotunda.dev';

/** Refuses routes that do not say who may call them, and checks every call before its body is read. */
export function guardRoutes(app: FastifyInstance, authorize: Authorize): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) throw new Error(`route ${route.url} does not say who may call it`);
  });
  app.addHook('onRequest', (request, _reply, done) => {
    const { access } = request.routeOptions.config;
    // Only the not-found handler has none.
    if (access !== undefined) checkAccess(authorize, request, access);
    done();
  });
}

function checkAccess(authorize: Authorize, request: FastifyRequest, access: Access): void {
  if (access === 'authenticated') {
    if (request.identity.kind === 'anonymous') throw unauthenticated();
    return;
  }
  const { verb, resource, subresource, param } = access;
  const params = request.params as Readonly<Record<string, string>>;
  if (access.self?.(request.identity, params) === true) return;
  const name = param === undefined ? undefined : params[param];
  requireAccess(authorize, request.identity, {
    verb,
    group: access.group ?? group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(name === undefined ? {} : { name }),
  });
}

/** Throws RotundaError 'forbidden', or 'unauthorized' for a caller without any credential. */
export function requireAccess(authorize: Authorize, identity: Identity, attributes: Attributes): void {
  const verdict = authorize(identity, attributes);
  if (verdict.allowed) return;
  if (identity.kind === 'anonymous') throw unauthenticated();
  const what = 'path' in attributes ? attributes.path : resourceText(attributes);
  const because = verdict.reason === '' ? '' : `: ${verdict.reason}`;
  throw new RotundaError('forbidden', `${identity.username} may not ${attributes.verb} ${what}${because}`, {
    hint: 'rotunda whoami shows the groups and roles that this credential has',
  });
}

function resourceText(attributes: Exclude<Attributes, { path: string }>): string {
  const { resource, subresource, name } = attributes;
  const kind = subresource === undefined ? resource : `${resource}/${subresource}`;
  return name === undefined ? kind : `${kind} ${JSON.stringify(name)}`;
}

function unauthenticated(): RotundaError {
  return new RotundaError('unauthorized', 'this needs a credential and none was presented', {
    hint: 'present a client certificate, or a bootstrap token as Authorization: Bearer <id>.<secret>',
  });
}
