import { isIP } from 'node:net';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readEtcdUrls } from '../../src/fleet/etcd-urls.js';
import {
  checkAddress,
  checkClusterName,
  checkDnsName,
  checkLabels,
  checkList,
  checkMemberName,
  checkNodeName,
  makeUid,
} from '../../src/fleet/names.js';

const problem: unknown = expect.objectContaining({ problem: expect.any(String) as string });

describe('names', () => {
  test.each([
    'worker-1',
    'a',
    '10.0.0.1',
    'ip-10-0-0-1.eu-west-1.compute.internal',
    'x'.repeat(63),
    `${'x'.repeat(63)}.${'y'.repeat(63)}`,
  ])('a node may be called %s', (name) => {
    expect(checkNodeName(name)).toEqual({ value: name });
  });
  test.each([
    '',
    'Worker',
    '-a',
    'a-',
    'a..b',
    'a.',
    '.a',
    'a_b',
    'a b',
    'a/b',
    'ä',
    'a\n',
    'a\0',
    'x'.repeat(64),
    `${'x.'.repeat(127)}xx`,
  ])('a node may not be called %j', (name) => {
    expect(checkNodeName(name)).toEqual(problem);
  });
  test('DNS names are lower-cased, and are neither wildcards nor addresses', () => {
    expect(checkDnsName('Host.Example')).toEqual({ value: 'host.example' });
    for (const bad of ['*.example.com', '10.0.0.1', '::1', 'a.example.', '', 'a\u0000b'])
      expect(checkDnsName(bad)).toEqual(problem);
  });
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::1', '::1'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ])('the address %s is %s', (text, value) => {
    expect(checkAddress(text)).toEqual({ value });
  });
  test.each([
    '10.0.0.0/8',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    'fe80::1%eth0',
    '010.0.0.1',
    '0x7f.1',
    '127.1',
    '2130706433',
    '0.0.0.0',
    '::',
    '',
    ' 10.0.0.1',
    '10.0.0.1\n',
  ])('the address %j is refused', (text) => {
    expect(checkAddress(text)).toEqual(problem);
  });
  test('an accepted address is canonical: accepted again unchanged, and an address to node', () => {
    const texts = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string(),
      fc.ipV6().map((text) => text.toUpperCase()),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const checked = checkAddress(text);
        if (!('value' in checked)) return;
        expect(isIP(checked.value)).not.toBe(0);
        expect(checkAddress(checked.value)).toEqual(checked);
      }),
      { numRuns: 2000 },
    );
  });
  test('member and cluster names cannot hold a path separator', () => {
    for (const good of ['infra0', 'Node_1', 'a.b-c']) expect(checkMemberName(good)).toEqual({ value: good });
    for (const bad of ['', 'a/b', '../a', '.a', 'a:b', 'ä', 'x'.repeat(64)])
      expect(checkMemberName(bad)).toEqual(problem);
    expect(checkClusterName('main')).toEqual({ value: 'main' });
    for (const bad of ['', 'Main', 'a.b', 'a/b']) expect(checkClusterName(bad)).toEqual(problem);
  });
  test('lists are sorted, without repeats, and each bad entry is named', () => {
    expect(checkList('addresses', ['::1', '10.0.0.1', '0:0::1'], checkAddress)).toEqual({
      values: ['10.0.0.1', '::1'],
      causes: [],
    });
    expect(checkList('addresses', ['10.0.0.1', 'x'], checkAddress).causes).toEqual([
      {
        field: 'addresses[1]',
        reason: 'FieldValueInvalid',
        message: 'Invalid value: "x": must be an IPv4 or IPv6 address',
      },
    ]);
    expect(
      checkList(
        'a',
        Array.from({ length: 65 }, () => 'a'),
        checkDnsName,
      ).causes[0]?.reason,
    ).toBe('FieldValueTooLong');
  });
  test('labels follow the rule of Kubernetes', () => {
    expect(
      checkLabels('labels', { 'example.com/zone': 'a', rack: '', 'topology.kubernetes.io/region': 'eu-1' }),
    ).toEqual([]);
    expect(checkLabels('labels', { '/x': 'a', 'a b': 'b', c: '-' })).toHaveLength(3);
  });
  test('uids are version 4 UUIDs', () => {
    expect(makeUid({ bytes: (count) => Buffer.alloc(count, 0xff) })).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff');
  });
});

describe('etcd URLs', () => {
  test('hosts become addresses and DNS names', () => {
    const read = readEtcdUrls('peerUrls', [
      'https://10.0.0.1:2380',
      'https://[2001:DB8::1]:2380/',
      'https://E1.example:2380',
    ]);
    expect(read).toEqual({
      urls: ['https://10.0.0.1:2380', 'https://[2001:db8::1]:2380', 'https://e1.example:2380'],
      addresses: ['10.0.0.1', '2001:db8::1'],
      dnsNames: ['e1.example'],
      causes: [],
    });
  });
  test.each([
    'http://10.0.0.1:2380',
    'unix://x:1',
    'https://10.0.0.1',
    'https://10.0.0.1:0',
    'https://10.0.0.1:65536',
    'https://10.0.0.1:2380/path',
    'https://10.0.0.1:2380?x',
    'https://u:p@10.0.0.1:2380',
    'https://0x7f.1:2380',
    'https://127.1:2380',
    'https://2130706433:2380',
    'https://0.0.0.0:2380',
    'https://[::ffff:10.0.0.1]:2380',
    'https://[fe80::1%25eth0]:2380',
    'https://*.example:2380',
    'https://exämple:2380',
    'https://a b:2380',
    'https://:2380',
    '',
    'e1.example:2380',
  ])('%j is refused with its index', (url) => {
    const read = readEtcdUrls('peerUrls', ['https://e1:2380', url]);
    expect(read.causes.map((cause) => cause.field)).toEqual(['peerUrls[1]']);
  });
});
