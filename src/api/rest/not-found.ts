import type { FastifyInstance } from 'fastify';

import { RotundaError } from '../../errors.js';

/** 405 with Allow for a path that has other methods, 404 otherwise (RFC 9110 section 15.5.6). */
export function answerUnknownRoutes(app: FastifyInstance): void {
  const known: { pattern: RegExp; methods: string[] }[] = [];
  app.addHook('onRoute', (route) => {
    const pattern = new RegExp(`^${route.url.replace(/:[a-zA-Z]+/g, '[^/]+')}$`);
    known.push({ pattern, methods: [route.method].flat() });
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = known.filter(({ pattern }) => pattern.test(path)).flatMap((entry) => entry.methods);
    if (methods.length === 0) throw new RotundaError('not-found', `there is nothing at ${path.slice(0, 200)}`);
    const allowed = [...new Set(methods)].sort().join(', ');
    reply.header('allow', allowed);
    throw new RotundaError('method-not-allowed', `${path.slice(0, 200)} understands ${allowed}`);
  });
}
