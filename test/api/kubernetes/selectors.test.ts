import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { negotiate } from '../../../src/api/kubernetes/codec/negotiate.js';
import { humanDuration } from '../../../src/api/kubernetes/human-duration.js';
import { matchesLabels, parseLabelSelector } from '../../../src/api/kubernetes/label-selector.js';
import { matchesSelection, parseSelection } from '../../../src/api/kubernetes/selectors.js';
import { RotundaError } from '../../../src/errors.js';

const request = (
  name: string,
  signerName: string,
  labels: Record<string, string> = {},
): Parameters<typeof matchesSelection>[1] => ({
  metadata: { name, labels, uid: '', resourceVersion: '1', creationTimestamp: '' },
  spec: { request: '', signerName },
});

describe('label selectors', () => {
  it.each([
    ['a', true],
    ['!a', false],
    ['!b', true],
    ['a=1', true],
    ['a==1', true],
    ['a!=1', false],
    ['b!=1', true],
    ['a in (1,2)', true],
    ['a notin (1,2)', false],
    ['b notin (1)', true],
    ['a>0', true],
    ['a<1', false],
    ['b>0', false],
    ['a,!b', true],
    ['a=1,b=2', false],
    ['a=', false],
    ['x.y/z', false],
  ])('%s matches {a: 1}: %s', (text, expected) => {
    expect(matchesLabels(parseLabelSelector(text), { a: '1' })).toBe(expected);
  });

  it.each([
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a,', "found '', expected: identifier after ','"],
    ['=a', "found '=', expected: !, identifier, or 'end of string'"],
    ['a in b', "unable to parse requirement: found 'b' expected: '('"],
  ])('%s is refused in the words of upstream', (text, expected) => {
    expect(() => parseLabelSelector(text)).toThrow(expected);
  });

  it('never fail otherwise than as a client error', () => {
    const pieces = fc.array(
      fc.constantFrom(
        'a',
        'b/c',
        ' ',
        '!',
        '=',
        '==',
        '!=',
        ',',
        '(',
        ')',
        'in',
        'notin',
        '<',
        '>',
        '1',
        '\\',
        '"',
        '\u0000',
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        for (const parameter of ['labelSelector', 'fieldSelector']) {
          try {
            parseSelection({ [parameter]: parts.join('') });
          } catch (error) {
            expect(error).toBeInstanceOf(RotundaError);
            expect((error as RotundaError).status).toBe(400);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('field selectors', () => {
  it('know name and signer, and their negation', () => {
    const selection = parseSelection({ fieldSelector: 'metadata.name!=a,spec.signerName==s/t' });
    expect(matchesSelection(selection, request('b', 's/t'))).toBe(true);
    expect(matchesSelection(selection, request('a', 's/t'))).toBe(false);
    expect(matchesSelection(selection, request('b', 's/u'))).toBe(false);
    expect(selection).toMatchObject({ name: undefined, signerName: 's/t', byNameOnly: false, everything: false });
  });

  it('read escapes', () => {
    expect(parseSelection({ fieldSelector: 'metadata.name=a\\,b\\=c\\\\' }).name).toBe('a,b=c\\');
  });

  it('tell a single name, which needs no list', () => {
    expect(parseSelection({ fieldSelector: 'metadata.name=a' })).toMatchObject({ name: 'a', byNameOnly: true });
    expect(parseSelection({ fieldSelector: 'metadata.name=a', labelSelector: 'x' }).byNameOnly).toBe(false);
    expect(parseSelection({ fieldSelector: 'metadata.name=a,metadata.name=b' }).byNameOnly).toBe(false);
  });
});

describe('negotiation', () => {
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  it.each([
    [undefined, { format: 'json' }],
    ['application/vnd.kubernetes.protobuf,application/json', { format: 'json' }],
    ['application/vnd.kubernetes.protobuf', { format: 'protobuf' }],
    [`${table},application/json`, { format: 'json', as: { kind: 'Table', version: 'v1' } }],
    ['application/json;as=Table;v=v2;g=meta.k8s.io,application/json', { format: 'json' }],
    ['application/yaml;q=0.9,application/json;q=0.1', { format: 'yaml' }],
    ['text/html, */*', { format: 'json' }],
  ])('%s', (accept, expected) => {
    expect(negotiate(accept)).toEqual(expected);
  });

  it('refuses what it does not have', () => {
    expect(() => negotiate('text/xml')).toThrow('406: Not Acceptable');
    expect(() => negotiate('application/json;as=Foo;v=v1;g=meta.k8s.io')).toThrow('406');
  });
});

describe('ages', () => {
  it.each([
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [125, '2m5s'],
    [599, '9m59s'],
    [600, '10m'],
    [3600, '60m'],
    [10_800, '3h'],
    [11_160, '3h6m'],
    [86_400, '24h'],
    [172_800, '2d'],
    [180_000, '2d2h'],
    [8 * 86_400, '8d'],
    [400 * 86_400, '400d'],
    [800 * 86_400, '2y70d'],
  ])('%d seconds are %s', (seconds, expected) => {
    expect(humanDuration(seconds * 1000)).toBe(expected);
  });
});
