import { labelValueMessages, qualifiedNameMessages } from '../../csr/syntax.js';
import { RotundaError } from '../../errors.js';

type Operator = 'in' | 'notin' | '=' | '==' | '!=' | 'gt' | 'lt' | 'exists' | '!';

/** One requirement of a label selector; all must hold. */
export type LabelRequirement = {
  readonly key: string;
  readonly operator: Operator;
  readonly values: ReadonlySet<string>;
};

type Token = { readonly kind: 'identifier' | 'symbol' | 'end'; readonly text: string };
type Parser = { readonly tokens: readonly Token[]; at: number };

const end: Token = { kind: 'end', text: '' };
const operators: readonly string[] = ['in', 'notin', '=', '==', '!=', 'gt', 'lt'];

/** Parses a label selector as upstream's `labels.Parse`, with its words for what is wrong. Throws 'bad-request'. */
export function parseLabelSelector(text: string): LabelRequirement[] {
  if (text === '') return [];
  const parser: Parser = { tokens: tokensOf(text), at: 0 };
  const requirements: LabelRequirement[] = [];
  for (;;) {
    const next = peek(parser);
    if (next.kind === 'end') return requirements;
    if (next.kind !== 'identifier' && next.text !== '!')
      fail(`found '${next.text}', expected: !, identifier, or 'end of string'`);
    requirements.push(requirement(parser));
    const after = take(parser);
    if (after.kind === 'end') return requirements;
    if (!is(after, ',')) fail(`found '${after.text}', expected: ',' or 'end of string'`);
    const following = peek(parser);
    if (following.kind !== 'identifier' && following.text !== '!')
      fail(`found '${following.text}', expected: identifier after ','`);
  }
}

export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>>,
): boolean {
  return requirements.every((one) => matches(one, Object.hasOwn(labels, one.key) ? labels[one.key] : undefined));
}

function matches({ operator, values }: LabelRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'in':
    case '=':
    case '==':
      return value !== undefined && values.has(value);
    case 'notin':
    case '!=':
      return value === undefined || !values.has(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
    case 'lt': {
      const [bound] = [...values].map(Number);
      if (value === undefined || bound === undefined || !/^-?\d+$/.test(value)) return false;
      return operator === 'gt' ? Number(value) > bound : Number(value) < bound;
    }
  }
}

function fail(message: string): never {
  throw new RotundaError('bad-request', message);
}

function failRequirement(message: string): never {
  fail(`unable to parse requirement: ${message}`);
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (const [found] of text.matchAll(/[()<>]|,|==?|!=|!|[^\s(),<>=!]+/g)) {
    tokens.push({ kind: /^[(),<>=!]/.test(found) ? 'symbol' : 'identifier', text: found });
  }
  return tokens;
}

function peek(parser: Parser): Token {
  return parser.tokens[parser.at] ?? end;
}

function take(parser: Parser): Token {
  const token = peek(parser);
  parser.at += 1;
  return token;
}

function is(token: Token, symbol: string): boolean {
  return token.kind === 'symbol' && token.text === symbol;
}

function requirement(parser: Parser): LabelRequirement {
  const negated = is(peek(parser), '!');
  if (negated) take(parser);
  const key = take(parser);
  if (key.kind !== 'identifier') failRequirement(`found '${key.text}', expected: identifier`);
  checkKey(key.text);
  const next = peek(parser);
  if (negated || next.kind === 'end' || is(next, ','))
    return { key: key.text, operator: negated ? '!' : 'exists', values: new Set() };
  const operator = operatorOf(take(parser));
  const values = operator === 'in' || operator === 'notin' ? list(parser) : exact(parser);
  checkValues(key.text, operator, values);
  return { key: key.text, operator, values };
}

function operatorOf(token: Token): Operator {
  if (is(token, '>')) return 'gt';
  if (is(token, '<')) return 'lt';
  if (token.text !== 'gt' && token.text !== 'lt' && operators.includes(token.text)) return token.text as Operator;
  return failRequirement(`found '${token.text}', expected: ${operators.join(', ')}`);
}

function exact(parser: Parser): Set<string> {
  const next = peek(parser);
  if (next.kind === 'end' || is(next, ',')) return new Set(['']);
  if (next.kind !== 'identifier') failRequirement(`found '${take(parser).text}', expected: identifier`);
  return new Set([take(parser).text]);
}

function list(parser: Parser): Set<string> {
  const open = take(parser);
  if (!is(open, '(')) failRequirement(`found '${open.text}' expected: '('`);
  const first = peek(parser);
  if (is(first, ')')) {
    take(parser);
    return new Set();
  }
  if (first.kind !== 'identifier' && !is(first, ','))
    failRequirement(`found '${first.text}', expected: ',', ')' or identifier`);
  const values = identifiers(parser);
  const close = take(parser);
  if (!is(close, ')')) failRequirement(`found '${close.text}', expected: ')'`);
  return values;
}

function identifiers(parser: Parser): Set<string> {
  const values = new Set<string>();
  for (;;) {
    const token = take(parser);
    if (token.kind === 'identifier') {
      values.add(token.text);
      const next = peek(parser);
      if (is(next, ')')) return values;
      if (!is(next, ',')) failRequirement(`found '${next.text}', expected: ',' or ')'`);
    } else if (is(token, ',')) {
      if (values.size === 0) values.add('');
      const next = peek(parser);
      if (is(next, ')')) return values.add('');
      if (is(next, ',')) {
        take(parser);
        values.add('');
      }
    } else failRequirement(`found '${token.text}', expected: ',', or identifier`);
  }
}

function checkKey(key: string): void {
  const wrong = qualifiedNameMessages(key);
  if (wrong.length > 0) failRequirement(`key: Invalid value: ${JSON.stringify(key)}: ${wrong.join('; ')}`);
}

function checkValues(key: string, operator: Operator, values: ReadonlySet<string>): void {
  if ((operator === 'in' || operator === 'notin') && values.size === 0)
    failRequirement(`values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty`);
  for (const [index, value] of [...values].entries()) {
    if ((operator === 'gt' || operator === 'lt') && !/^-?\d+$/.test(value)) {
      failRequirement(
        `values[${String(index)}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
    const wrong = labelValueMessages(value);
    if (wrong.length > 0)
      failRequirement(`values[${String(index)}][${key}]: Invalid value: ${JSON.stringify(value)}: ${wrong.join('; ')}`);
  }
}
