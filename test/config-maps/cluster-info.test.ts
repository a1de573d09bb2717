import { expect, it } from 'vitest';
import { parse } from 'yaml';

import { clusterInfoData, detachedJws } from '../../src/config-maps/cluster-info.js';

const content = 'Hello from the other side. I must have called a thousand times.';

// The vector of cluster-bootstrap's own tests.
it('signs as cluster-bootstrap does', () => {
  expect(detachedJws(content, 'joshua', 'my voice is my passcode')).toBe(
    'eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8',
  );
});

it('gives the same bytes for the same input, whatever the order of the tokens', () => {
  const a = { id: 'aaaaaa', secret: '0123456789abcdef' };
  const b = { id: 'bbbbbb', secret: 'fedcba9876543210' };
  const options = { server: 'https://192.0.2.1:6443', bundlePem: 'two\nanchors\n' };
  const data = clusterInfoData({ ...options, signers: [b, a] });
  expect(JSON.stringify(data)).toBe(JSON.stringify(clusterInfoData({ ...options, signers: [a, b] })));
  expect(Object.keys(data)).toEqual(['jws-kubeconfig-aaaaaa', 'jws-kubeconfig-bbbbbb', 'kubeconfig']);
  const clusters = [
    {
      name: '',
      cluster: {
        server: options.server,
        'certificate-authority-data': Buffer.from('two\nanchors\n').toString('base64'),
      },
    },
  ];
  expect(parse(data['kubeconfig'] ?? '')).toMatchObject({ kind: 'Config', clusters, users: null });
});
