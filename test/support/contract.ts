import { readFileSync } from 'node:fs';

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { parse } from 'yaml';

/** One exchange with /pki/v1, as a client saw it. */
export type Exchange = {
  readonly method: string;
  /** Path and query as sent. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly text: string;
};

type Response = { readonly $ref?: string; readonly content?: Readonly<Record<string, unknown>> };
type Operation = { readonly responses: Readonly<Record<string, Response>> };
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Response>> };
};

const document = parse(readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8')) as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormatsModule.default(ajv);
ajv.addSchema(document, 'openapi');

/** A path without parameters goes before one with, as OpenAPI matches. */
const templates = Object.keys(document.paths)
  .sort((a, b) => a.split('{').length - b.split('{').length)
  .map((template) => ({
    template,
    pattern: new RegExp(`^${template.replace(/\{[^}]+\}/g, '[^/]+')}$`),
  }));
const validators = new Map<string, ValidateFunction>();

/** Throws when the answer is not what openapi.yaml says of this operation. Paths outside /pki/v1 are not its business. */
export function checkExchange(exchange: Exchange): void {
  const { method, status, text } = exchange;
  const path = exchange.path.split('?', 1)[0] ?? '';
  if (!path.startsWith('/pki/v1/')) return;
  const what = `${method} ${path} -> ${status}`;
  const found = responseOf(method, path, status);
  if (found === undefined) {
    // What is not in the contract can only be refused, as a problem.
    if (status >= 400)
      checkBody(what, exchange, document.components.responses['ClientProblem'], '/components/responses/ClientProblem');
    else throw new Error(`${what}: openapi.yaml has no such operation or status`);
    return;
  }
  if (found.response.content === undefined || method === 'HEAD') {
    if (text !== '') throw new Error(`${what}: has a body, and the contract has none`);
    return;
  }
  checkBody(what, exchange, found.response, found.pointer);
}

function checkBody(
  what: string,
  { contentType, text }: Exchange,
  response: Response | undefined,
  pointer: string,
): void {
  const type = (contentType ?? '').split(';', 1)[0]?.trim() ?? '';
  if (response?.content?.[type] === undefined)
    throw new Error(`${what}: content type ${JSON.stringify(type)} is not in the contract`);
  const validate = validatorFor(`${pointer}/content/${escapePointer(type)}/schema`);
  const body: unknown = type.endsWith('json') ? JSON.parse(text) : text;
  if (validate(body)) return;
  throw new Error(`${what}: ${ajv.errorsText(validate.errors)}\n${text.slice(0, 2000)}`);
}

function responseOf(method: string, path: string, status: number): { response: Response; pointer: string } | undefined {
  const template = templates.find(({ pattern }) => pattern.test(path))?.template;
  const operation =
    template === undefined ? undefined : document.paths[template]?.[method === 'HEAD' ? 'get' : method.toLowerCase()];
  if (template === undefined || operation === undefined) return undefined;
  const key = [String(status), `${String(status)[0] ?? ''}XX`].find((candidate) => candidate in operation.responses);
  const response = key === undefined ? undefined : operation.responses[key];
  if (key === undefined || response === undefined) return undefined;
  const reference = response.$ref?.replace('#', '');
  const shared = reference === undefined ? undefined : document.components.responses[reference.split('/').at(-1) ?? ''];
  if (reference !== undefined && shared !== undefined) return { response: shared, pointer: reference };
  return {
    response,
    pointer: `/paths/${escapePointer(template)}/${method === 'HEAD' ? 'get' : method.toLowerCase()}/responses/${key}`,
  };
}

function validatorFor(pointer: string): ValidateFunction {
  const known = validators.get(pointer);
  if (known !== undefined) return known;
  const made = ajv.compile({ $ref: `openapi#${encodeURI(pointer)}` });
  validators.set(pointer, made);
  return made;
}

function escapePointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}
