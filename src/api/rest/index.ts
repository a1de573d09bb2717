import type { FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';

import type { Context } from '../../context.js';
import { guardRoutes } from './access.js';
import { acknowledgementRoutes } from './acknowledgements.js';
import type { Routes } from './app.js';
import { attachmentRoutes } from './attachment.js';
import { attestationRoutes } from './attestations.js';
import { authorityRoutes } from './authorities.js';
import { bundleRoutes } from './bundles.js';
import { certificateRoutes } from './certificates.js';
import { consumerRoutes } from './consumers.js';
import { discoveryRoutes } from './discovery.js';
import { etcdClusterRoutes } from './etcd-clusters.js';
import { etcdMemberRoutes } from './etcd-members.js';
import { keepIdempotent } from './idempotency.js';
import { answerUnknownRoutes } from './not-found.js';
import { keySetRoutes } from './key-sets.js';
import { nodeImportRoutes } from './node-imports.js';
import { nodeRoutes } from './nodes.js';
import { renderProblem } from './problem.js';
import { renewalInfoRoutes } from './renewal-info.js';
import { renewalRuleRoutes } from './renewal-rules.js';
import { requestRoutes } from './requests.js';
import { ringRoutes } from './rings.js';
import { rotationRoutes } from './rotations.js';
import { tokenRoutes } from './tokens.js';
import { whoamiRoutes } from './whoami.js';

/** Bytes. A request with the largest names that may be asked for stays well below. */
const bodyLimit = 64 * 1024;

const nouns: readonly Routes[] = [
  ringRoutes,
  bundleRoutes,
  authorityRoutes,
  requestRoutes,
  certificateRoutes,
  tokenRoutes,
  discoveryRoutes,
  nodeRoutes,
  nodeImportRoutes,
  etcdClusterRoutes,
  etcdMemberRoutes,
  consumerRoutes,
  acknowledgementRoutes,
  attestationRoutes,
  keySetRoutes,
  rotationRoutes,
  attachmentRoutes,
  renewalInfoRoutes,
  renewalRuleRoutes,
  whoamiRoutes,
];

/** Serves /pki/v1. Expects `request.identity` to be set by the server before routes run. */
export async function registerRestApi(app: FastifyInstance, context: Context): Promise<void> {
  await app.register(
    (plain, _options, done) => {
      const scope = plain.withTypeProvider<ZodTypeProvider>();
      scope.setValidatorCompiler(validatorCompiler);
      scope.setSerializerCompiler(serializerCompiler);
      scope.setErrorHandler(renderProblem);
      readOnlyJson(plain);
      guardRoutes(plain, context.authorize);
      keepIdempotent(plain, context);
      answerUnknownRoutes(plain);
      for (const routes of nouns) routes(scope, context);
      done();
    },
    { prefix: '/pki/v1' },
  );
}

/** JSON bodies and nothing else; `__proto__` and `constructor` keys are refused, an absent body is an empty object. */
function readOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'string', bodyLimit },
    app.getDefaultJsonParser('error', 'error'),
  );
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') request.body ??= {};
    done();
  });
}
