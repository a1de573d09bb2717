import type { FastifyReply } from 'fastify';

import { probeGroup } from '../../../attach/manifests.js';
import { RotundaError } from '../../../errors.js';
import type { Call, Handler } from '../call.js';
import { sendJson, sendValue } from '../render.js';
import type { Target } from '../target.js';
import {
  aggregated,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  coreGroup,
  type GroupInfo,
  groups,
  version,
} from './documents.js';
import { openapiDocument, openapiIndex } from './openapi.js';

/** The handler of a path that is no resource; undefined where there is none. Throws 'not-found' below a known group. */
export function discovery(target: Target, method: string): Handler | undefined {
  const handler = handlerOf(target.path.replace(/\/+$/, ''));
  if (handler !== undefined && method !== 'GET') {
    throw new RotundaError('method-not-allowed', 'the server does not allow this method on the requested resource', {
      object: {},
    });
  }
  return handler;
}

function handlerOf(path: string): Handler | undefined {
  switch (path) {
    case '/api':
      return (call) => sendDiscovery(call, [coreGroup], apiVersions(call.request.host));
    case '/apis':
      return (call) => sendDiscovery(call, groups, apiGroupList());
    case '/api/v1':
      return documentOf(apiResourceList(coreGroup));
    case '/version':
      return (call) => sendJson(call.reply, 200, JSON.stringify(version));
    case '/openapi/v3':
      return (call) =>
        call.reply.code(200).header('content-type', 'text/plain; charset=utf-8').send(Buffer.from(openapiIndex));
    case `/apis/${probeGroup}/v1`:
      return attachProbe;
    default:
      return openapiHandler(path) ?? groupHandler(path);
  }
}

function openapiHandler(path: string): Handler | undefined {
  const document = path.startsWith('/openapi/v3/') ? openapiDocument(path.slice('/openapi/v3/'.length)) : undefined;
  return document === undefined ? undefined : (call) => sendJson(call.reply, 200, document);
}

function groupHandler(path: string): Handler | undefined {
  const [, root, name, version, ...rest] = path.split('/');
  const group = root === 'apis' ? groups.find((one) => one.name === name) : undefined;
  if (group === undefined || rest.length > 0) return undefined;
  if (version === undefined) return documentOf(apiGroup(group, false));
  if (version === group.version) return documentOf(apiResourceList(group));
  throw new RotundaError('not-found', 'the server could not find the requested resource', { object: {} });
}

/**
 * A group without resources, in no list of groups: an API server that gets this answer reaches the service, and is
 * believed as a front proxy. Throws 'forbidden' for everybody else, a front proxy that is not believed included.
 */
const attachProbe: Handler = (call) => {
  if (call.request.identity.proxied === undefined) {
    throw new RotundaError(
      'forbidden',
      `only an API server whose request headers are believed asks for ${probeGroup}`,
      {
        object: {},
      },
    );
  }
  const list = { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${probeGroup}/v1`, resources: [] };
  return sendJson(call.reply, 200, JSON.stringify(list));
};

function documentOf(document: unknown): Handler {
  return (call) => sendValue(call.reply, 200, document, { format: call.representation.format });
}

/** kubectl names the aggregated document first and takes the plain one too. */
function sendDiscovery(call: Call, of: readonly GroupInfo[], legacy: unknown): FastifyReply {
  const { accept } = call.request.headers;
  for (const clause of (accept ?? '').split(',')) {
    const parts = clause.split(';').map((part) => part.trim());
    if (parts[0] !== 'application/json' || !parts.includes('as=APIGroupDiscoveryList')) continue;
    const version = parts.includes('v=v2') ? 'v2' : parts.includes('v=v2beta1') ? 'v2beta1' : undefined;
    if (version === undefined) continue;
    const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
    return call.reply
      .code(200)
      .header('content-type', type)
      .header('vary', 'Accept')
      .send(Buffer.from(JSON.stringify(aggregated(of, version))));
  }
  return sendValue(call.reply, 200, legacy, { format: call.representation.format });
}
