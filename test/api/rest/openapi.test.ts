import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { openApiDocument } from '../../../src/api/rest/openapi.js';
import { checkExchange } from '../../support/contract.js';

type Operation = {
  readonly operationId: string;
  readonly summary: string;
  readonly responses: Record<string, unknown>;
};

describe('openapi.yaml', () => {
  it('is what the routes say', async () => {
    expect(parse(readFileSync('openapi.yaml', 'utf8'))).toEqual(await openApiDocument());
  });

  it('names every operation once and says how it is refused', async () => {
    const paths = (await openApiDocument())['paths'] as Record<string, Record<string, Operation>>;
    const operations = Object.values(paths).flatMap((item) => Object.values(item));
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const operation of operations) {
      expect(operation.summary).not.toBe('');
      expect(Object.keys(operation.responses)).toContain('4XX');
    }
  });
});

describe('the check of answers', () => {
  const base = { method: 'GET', path: '/pki/v1/rings', contentType: 'application/json' };
  it.each([
    ['a field less', { ...base, status: 200, text: '{"items":[{"name":"a"}]}' }],
    ['a field more', { ...base, status: 200, text: '{"items":[],"more":1}' }],
    ['another type', { ...base, status: 200, text: '{"items":[]}', contentType: 'text/html' }],
    ['a refusal that is no problem', { ...base, status: 404, text: '{}' }],
    ['an operation that is not there', { ...base, path: '/pki/v1/nope', status: 200, text: '{}' }],
  ])('sees %s', (_what, exchange) => {
    expect(() => {
      checkExchange(exchange);
    }).toThrow();
  });
});
