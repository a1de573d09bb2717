import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { startTestService, type TestService } from '../support/service.js';
import { inProcess, type Ran, rotunda } from './rotunda.js';

let service: TestService;
let directory: string;

beforeAll(async () => {
  service = await startTestService();
  directory = mkdtempSync(path.join(tmpdir(), 'rotunda-cli-'));
});
afterAll(async () => {
  await service.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** As the administrator. */
const admin = (...args: string[]): Promise<Ran> => inProcess([...args, '--kubeconfig', service.kubeconfig]);
const ok = async (...args: string[]): Promise<string> => {
  const ran = await admin(...args);
  expect([args, ran.code, ran.err]).toEqual([args, 0, ran.err]);
  return ran.out;
};
const file = (name: string): string => path.join(directory, name);

describe('as a process', () => {
  it('finds the kubeconfig in the data directory', async () => {
    const ran = await rotunda(['whoami', '-o', 'json'], { env: { ROTUNDA_DATA_DIR: service.dataDir } });
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(JSON.parse(ran.out)).toMatchObject({ username: 'admin', ring: 'rotunda' });
  });

  it('prints the kubeadm command for a new token, with every pin', async () => {
    const printed = await ok('token', 'create', '--node', 'j1', '--print-join-command');
    const [, endpoint = '', token = '', hashes = ''] =
      /^kubeadm join (\S+) --token (\S+)((?: --discovery-token-ca-cert-hash sha256:[0-9a-f]{64})+)\n$/.exec(printed) ??
      [];
    expect(`https://${endpoint}`).toBe(service.url);
    expect(hashes.match(/sha256:[0-9a-f]{64}/g)).toEqual(service.service.pins);
    const shown = JSON.parse(await ok('token', 'get', token.slice(0, 6), '-o', 'json')) as { usages: string[] };
    expect(shown.usages).toEqual(['authentication', 'signing']);
  });

  it('makes a token that people script against', async () => {
    const ran = await rotunda(
      [
        'token',
        'create',
        '--node',
        'script',
        '--address',
        '10.0.0.1',
        '--address',
        '10.0.0.2',
        '--dns',
        'script.example',
        '--ttl',
        '1h',
        '-o',
        'json',
      ],
      {
        env: { ROTUNDA_KUBECONFIG: service.kubeconfig },
      },
    );
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(JSON.parse(ran.out)).toMatchObject({
      token: expect.stringMatching(/^[a-z0-9]{6}\.[a-z0-9]{16}$/) as string,
      node: 'script',
      kind: 'node',
    });
    expect(JSON.parse(await ok('node', 'get', 'script', '-o', 'json'))).toMatchObject({
      addresses: ['10.0.0.1', '10.0.0.2'],
      dnsNames: ['script.example'],
    });
  });

  it('says when there is nothing to talk to', async () => {
    const ran = await rotunda(['ring', 'list'], { cwd: directory });
    expect([ran.code, ran.out]).toEqual([1, '']);
    expect(ran.err).toMatch(/^error: there is no rotunda-data\/admin\.kubeconfig\nhint: /);
  });
});

describe('output', () => {
  it('is a table, wide, names, json or yaml', async () => {
    expect(await ok('ring', 'list')).toMatch(/^NAME +GENERATION +SUBJECT\netcd +1 +CN=etcd-ca/);
    expect(await ok('ring', 'list', '-o', 'wide')).toContain('AUTHORITY');
    expect(await ok('ring', 'list', '-o', 'name')).toBe('ring/etcd\nring/front-proxy\nring/kubernetes\nring/rotunda\n');
    const items = (JSON.parse(await ok('ring', 'list', '-o', 'json')) as { items: unknown[] }).items;
    expect(parse(await ok('ring', 'list', '-o', 'yaml'))).toEqual({ items });
    expect(JSON.parse(await ok('ring', 'get', 'etcd', '-o', 'json'))).toEqual(items[0]);
  });

  it('keeps messages out of data', async () => {
    const ran = await admin('request', 'list');
    expect(ran).toEqual({ code: 0, out: '', err: 'no request found\n' });
    expect((await admin('ring', 'list', '-o', 'pem')).err).toContain('error: this cannot be printed as pem');
  });
});

describe('bundles and authorities', () => {
  it('are PEM for files', async () => {
    const pem = await ok('bundle', 'get', 'etcd');
    expect(new X509Certificate(pem).ca).toBe(true);
    expect(await ok('bundle', 'get', 'etcd', '-o', 'pem')).toBe(pem);
    const bundle = JSON.parse(await ok('bundle', 'get', 'etcd', '-o', 'json')) as {
      generation: number;
      anchors: { ski: string }[];
    };
    expect(await ok('bundle', 'get', 'etcd', '--generation', String(bundle.generation))).toBe(pem);
    expect(await ok('authority', 'get', bundle.anchors[0]?.ski ?? '', '-o', 'pem')).toBe(pem);
    expect(await ok('authority', 'list', '--ring', 'etcd')).toContain('active');
  });

  it('need no credential, and no file but the pin', async () => {
    const pin = service.service.pins[0] ?? '';
    const ran = await inProcess(['bundle', 'get', 'etcd', '--server', service.url, '--pin', pin]);
    expect([ran.code, ran.err]).toEqual([0, '']);
    const wrong = await inProcess([
      'bundle',
      'get',
      'etcd',
      '--server',
      service.url,
      '--pin',
      `sha256:${'0'.repeat(64)}`,
    ]);
    expect([wrong.code, wrong.out]).toEqual([2, '']);
    expect(wrong.err).toContain('error: no authority of the ring kubernetes');
  });
});

describe('nodes', () => {
  it('are enrolled, changed, disabled and deleted', async () => {
    await ok('node', 'create', 'n1', '--address', '10.1.0.1', '--label', 'zone=a');
    expect(await ok('node', 'update', 'n1', '--address', '10.1.0.2', '-o', 'wide')).toMatch(/10\.1\.0\.2 .*zone=a/);
    expect(await ok('node', 'disable', 'n1', '--reason', 'stolen')).toContain('disabled');
    await ok('node', 'enable', 'n1');
    expect(await ok('node', 'replace', 'n1')).toContain('expected');
    expect(await ok('node', 'list', '-o', 'name')).toContain('node/n1\n');
    expect((await admin('node', 'delete', 'n1')).err).toBe('deleted node n1\n');
    const gone = await admin('node', 'get', 'n1');
    expect([gone.code, gone.out]).toEqual([2, '']);
    expect(gone.err).toMatch(/^error: .*n1.*\(not-found\)/);
  });

  it('that break rules are told field by field', async () => {
    const ran = await admin('node', 'create', 'Bad Name', '--address', '10.0.0.999');
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('error: name: ');
    expect(ran.err).toContain('error: addresses[0]: ');
    expect((await admin('node', 'create', 'n2', '--label', 'x')).code).toBe(1);
  });
});

describe('requests and certificates', () => {
  it('go from key to certificate for a node with its token', async () => {
    const { token } = JSON.parse(await ok('token', 'create', '--node', 'c1', '-o', 'json')) as { token: string };
    const trust = ['--server', service.url, '--pin', service.service.pins[0] ?? ''];
    const csr = await inProcess([
      'cert',
      'csr',
      '--key',
      file('c1.key'),
      '--cn',
      'system:node:c1',
      '--org',
      'system:nodes',
    ]);
    expect(statSync(file('c1.key')).mode & 0o777).toBe(0o600);
    const issue = ['cert', 'issue', '--signer', 'kubernetes.io/kube-apiserver-client-kubelet', '--csr', '-'];
    const issued = await inProcess([...issue, '--token', token, ...trust], { input: csr.out });
    expect([issued.code, issued.err]).toEqual([0, '']);
    const leaf = new X509Certificate(issued.out);
    expect(leaf.subject).toContain('CN=system:node:c1');
    writeFileSync(file('c1.crt'), issued.out);
    const renewed = await inProcess([...issue, '--cert', file('c1.crt'), '--key', file('c1.key'), ...trust], {
      input: csr.out,
    });
    expect([renewed.code, renewed.err]).toEqual([0, '']);
    expect(await ok('cert', 'list', '--node', 'c1', '-o', 'name')).toContain(
      `certificate/${leaf.serialNumber.toLowerCase()}\n`,
    );
    expect(await ok('cert', 'list', '--node', 'c1', '--ring', 'kubernetes', '--expiring-within', '60d')).toContain(
      'system:node:c1',
    );
    expect(await ok('cert', 'get', leaf.serialNumber, '-o', 'pem')).toBe(issued.out);
    expect(await ok('cert', 'revoke', leaf.serialNumber, '--reason', 'superseded')).toContain('revoked');
    const refused = await inProcess([...issue, '--cert', file('c1.crt'), '--key', file('c1.key'), ...trust], {
      input: csr.out,
    });
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.err).toContain('(unauthorized)');
  });

  it('wait for a person, who looks, decides and finds them again', async () => {
    const csr = await inProcess(['cert', 'csr', '--key', file('jane.key'), '--cn', 'jane', '--org', 'developers']);
    writeFileSync(file('jane.csr'), csr.out);
    const create = ['request', 'create', '-f', file('jane.csr'), '--signer', 'kubernetes.io/kube-apiserver-client'];
    const created = await admin(...create, '--usage', 'client auth', '--expires', '1h', '--name', 'jane', '-o', 'name');
    expect([created.code, created.out]).toEqual([0, 'request/jane\n']);
    expect(created.err).toContain('request jane is pending');
    expect((await admin('request', 'explain', 'jane')).out).toMatch(/^RULE +KIND +OUTCOME +MESSAGE\n/);
    expect(await ok('request', 'list', '--state', 'pending')).toContain('jane');
    expect(await ok('request', 'approve', 'jane')).toMatch(/jane .*(approved|issued)/);
    await expect.poll(() => ok('request', 'get', 'jane')).toContain('issued');
    const pem = await ok('request', 'get', 'jane', '-o', 'pem');
    const { validFrom, validTo } = new X509Certificate(pem);
    expect(Date.parse(validTo) - Date.parse(validFrom)).toBeLessThanOrEqual(3_900_000);
    await admin(...create, '--name', 'joe');
    expect(await ok('request', 'deny', 'joe', '--message', 'unknown')).toContain('denied');
    await ok('request', 'delete', 'joe');
    const held = await admin(
      'cert',
      'issue',
      '--csr',
      file('jane.csr'),
      '--signer',
      'kubernetes.io/kube-apiserver-client',
    );
    expect([held.code, held.out]).toEqual([2, '']);
    expect(held.err).toMatch(/^error: request .* is pending.*\nhint: /);
  });

  it('are refused with the reason', async () => {
    const { token } = JSON.parse(await ok('token', 'create', '--node', 'c2', '-o', 'json')) as { token: string };
    const csr = await inProcess([
      'cert',
      'csr',
      '--key',
      file('c2.key'),
      '--cn',
      'system:node:other',
      '--org',
      'system:nodes',
    ]);
    const args = [
      'cert',
      'issue',
      '--signer',
      'kubernetes.io/kube-apiserver-client-kubelet',
      '--csr',
      '-',
      '--token',
      token,
    ];
    const denied = await inProcess([...args, '--kubeconfig', service.kubeconfig], { input: csr.out });
    expect([denied.code, denied.out]).toEqual([2, '']);
    expect(denied.err).toMatch(/^error: .*"c2".*\(denied\)\nhint: /);
    const noCsr = await inProcess([...args, '--kubeconfig', service.kubeconfig], { input: 'hello' });
    expect(noCsr.err).toContain('error: request: ');
  });
});

describe('etcd', () => {
  it('gives a member everything for TLS with nothing but its token', async () => {
    await ok('etcd', 'cluster', 'create', 'main', '--client-name', 'reader');
    await ok(
      'etcd',
      'member',
      'create',
      'main/m1',
      '--peer-url',
      'https://10.2.0.1:2380',
      '--client-url',
      'https://10.2.0.1:2379',
    );
    const { token } = JSON.parse(
      await ok('token', 'create', '--etcd-member', 'main/m1', '--ttl', '1h', '-o', 'json'),
    ) as { token: string };
    const out = file('pki');
    const issue = [
      'etcd',
      'issue',
      'main/m1',
      '--server',
      service.url,
      '--pin',
      service.service.pins[0] ?? '',
      '--token',
      token,
      '--out',
      out,
    ];
    const ran = await inProcess(issue);
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(readdirSync(out).sort()).toEqual(
      ['peer', 'server', 'client'].flatMap((kind) => [`${kind}-ca.crt`, `${kind}.crt`, `${kind}.key`]).sort(),
    );
    for (const kind of ['peer', 'server', 'client']) {
      const leaf = new X509Certificate(readFileSync(path.join(out, `${kind}.crt`)));
      expect(leaf.verify(new X509Certificate(readFileSync(path.join(out, `${kind}-ca.crt`))).publicKey)).toBe(true);
      expect(statSync(path.join(out, `${kind}.key`)).mode & 0o777).toBe(0o600);
      if (kind !== 'client') expect(leaf.checkIP('10.2.0.1')).toBe('10.2.0.1');
    }
    const again = await inProcess(issue);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('peer.crt is there already') as string]);
    const other = await inProcess(['etcd', 'issue', 'main/m2', ...issue.slice(3)]);
    expect(other.code).toBe(2);
    expect(await ok('etcd', 'member', 'list', 'main')).toContain('https://10.2.0.1:2380');
    expect((await admin('etcd', 'cluster', 'delete', 'main')).code).toBe(2);
    await ok('etcd', 'member', 'delete', 'main/m1');
    await ok('etcd', 'cluster', 'delete', 'main');
  });
});

describe('what keeps a command from the server', () => {
  it.each([
    [['--server', 'https://127.0.0.1:1'], 2, 'nothing listens there'],
    [['--server', 'https://no-such-host.invalid'], 2, 'cannot reach https://no-such-host.invalid'],
    [['--server', 'http://127.0.0.1'], 1, 'is not an https URL'],
    [['--token', 'abc'], 1, 'is not a bootstrap token'],
    [['--cert', '/nope'], 1, '--cert and --key belong together'],
    [['--ca', '/nope/ca.crt'], 1, 'there is no file /nope/ca.crt'],
    [['--pin', 'sha1:00'], 1, 'is not a pin'],
    [['--timeout', 'soon'], 1, 'is not a duration'],
    [['--token', 'abcdef.0123456789abcdef'], 2, '(unauthorized)'],
  ])('%j is explained', async (flags, code, text) => {
    const ran = await admin('ring', 'list', ...flags);
    expect([ran.code, ran.out]).toEqual([code, '']);
    expect(ran.err).toMatch(/^error: /);
    expect(ran.err).toContain(text);
    expect(ran.err).not.toContain('    at ');
  });

  it('is another authority', async () => {
    writeFileSync(file('other-ca.crt'), await ok('bundle', 'get', 'etcd'));
    const ran = await admin('ring', 'list', '--ca', file('other-ca.crt'));
    expect(ran.code).toBe(2);
    expect(ran.err).toContain('has a certificate that is not from the expected authority');
  });

  it('is a broken kubeconfig', async () => {
    writeFileSync(file('broken'), 'a: [');
    expect((await inProcess(['ring', 'list', '--kubeconfig', file('broken')])).err).toContain('is not YAML');
    writeFileSync(file('empty'), '{}');
    expect((await inProcess(['ring', 'list', '--kubeconfig', file('empty')])).err).toContain('is not a kubeconfig');
  });
});
