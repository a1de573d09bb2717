import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { publishing } from '../support/publishing.js';
import { startTestService, type TestService } from '../support/service.js';
import { requirePeer, testWithPeer } from '../support/peers.js';
import { inProcess, type Ran } from './rotunda.js';

let service: TestService;
let publish: ReturnType<typeof publishing>;
let directory: string;

beforeAll(async () => {
  service = await startTestService();
  publish = publishing(service.service.context);
  directory = mkdtempSync(path.join(tmpdir(), 'rotunda-cli-bundle-'));
});
afterAll(async () => {
  await service.stop();
  rmSync(directory, { recursive: true, force: true });
});

const file = (name: string): string => path.join(directory, name);
const run = (...args: string[]): Promise<Ran> => inProcess([...args, '--kubeconfig', service.kubeconfig]);
const ok = async (...args: string[]): Promise<string> => {
  const ran = await run(...args);
  expect([args, ran.code, ran.err]).toEqual([args, 0, ran.err]);
  return ran.out;
};
const put = (name: string, content: string): string => {
  writeFileSync(file(name), content);
  return file(name);
};
const anchorsIn = (name: string): number => (readFileSync(file(name), 'utf8').match(/BEGIN CERTIFICATE/g) ?? []).length;

type Json = {
  generation: number;
  digest: string;
  anchors: { pem: string }[];
  manifest?: { text: string; signature: string; signedBy: string };
};

describe('a bundle over the generations of a whole rotation', () => {
  // 1: old. 2: old and new, signed by old. 3: new and old, by new. 4: new, by new.
  const ring = 'etcd';
  let old: string;
  beforeAll(async () => {
    old = put('old-ca.crt', await ok('bundle', 'get', ring));
    const before = service.service.context.ca.ring(ring).active.ski;
    const { ski } = await publish.addAuthority(ring, { raiseFloor: true });
    await publish.change({ ring, signer: ski, states: { [ski]: 'active', [before]: 'draining' } });
    await publish.change({ ring, anchors: [ski, before] });
    await publish.change({ ring, anchors: [ski] });
    for (const generation of [1, 2, 3, 4])
      put(
        `${String(generation)}.json`,
        await ok('bundle', 'get', ring, '--generation', String(generation), '-o', 'json'),
      );
    put('new-ca.crt', await ok('bundle', 'get', ring));
  });

  it('is verified with an anchor at hand, and no server', async () => {
    const ran = await inProcess(['bundle', 'verify', file('2.json'), '--anchor', old]);
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(ran.out).toMatch(/^RING +GENERATION +CREATED +SIGNED BY\netcd +2 +20[^ ]+Z +[0-9a-f]{40}\n$/);
    const manifest = await inProcess(['bundle', 'verify', file('2.json'), '--anchor', old, '-o', 'json']);
    expect(JSON.parse(manifest.out)).toMatchObject({ ring, generation: 2, joinFloor: 2 });
    const pem = await inProcess(['bundle', 'verify', file('2.json'), '--anchor', old, '-o', 'pem']);
    expect(pem.out.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  it('is refused with what does not vouch for it', async () => {
    const cases: readonly (readonly [string[], number, string])[] = [
      [[file('1.json'), '--anchor', old], 2, 'has no manifest'],
      [[file('3.json'), '--anchor', old], 2, 'none of those at hand'],
      [[file('2.json'), '--anchor', file('new-ca.crt')], 2, 'none of those at hand'],
      [[file('2.json'), '--anchor', old, '--at-least', '3'], 2, 'is older than 3'],
      [[file('2.json'), '--anchor', old, '--at-least', 'banana'], 1, '--at-least "banana" is not a whole number'],
      [[file('2.json'), '--anchor', file('2.json')], 1, 'holds a certificate that cannot be read'],
      [[file('2.json'), '--anchor', put('empty.crt', 'nothing')], 1, 'holds no certificates'],
      [[file('2.json'), '--anchor', file('nope')], 1, 'there is no file'],
      [[old, '--anchor', old], 1, 'is not a bundle in JSON'],
      [[file('nope'), '--anchor', old], 1, 'there is no file'],
    ];
    for (const [args, code, why] of cases) {
      const ran = await inProcess(['bundle', 'verify', ...args]);
      expect([args, ran.code, ran.out]).toEqual([args, code, '']);
      expect(ran.err).toMatch(/^error: /);
      expect(ran.err).toContain(why);
    }
  });

  it('is refused when anything of it was changed', async () => {
    const good = JSON.parse(readFileSync(file('2.json'), 'utf8')) as Json;
    const other = JSON.parse(await ok('bundle', 'get', 'kubernetes', '-o', 'json')) as Json;
    const manifest = good.manifest ?? { text: '', signature: '', signedBy: '' };
    const changes: readonly (readonly [object, string])[] = [
      [{ generation: 3 }, 'manifest is for generation 2'],
      [{ ring: 'kubernetes' }, 'manifest is for the ring "etcd"'],
      [{ anchors: [...good.anchors, ...other.anchors] }, 'digest is not that of its anchors'],
      [{ anchors: good.anchors.slice(1) }, 'digest is not that of its anchors'],
      [{ digest: other.digest }, 'digest is not that of its anchors'],
      [{ manifest: { ...manifest, text: manifest.text.replace('"generation":2', '"generation":3') } }, 'signature'],
      [{ manifest: { ...manifest, signature: 'AAAA' } }, 'signature'],
      [{ manifest: undefined }, 'no manifest'],
    ];
    for (const [change, why] of changes) {
      const ran = await inProcess([
        'bundle',
        'verify',
        put('forged.json', JSON.stringify({ ...good, ...change })),
        '--anchor',
        old,
      ]);
      expect([why, ran.code]).toEqual([why, 2]);
      expect(ran.err).toContain(why);
    }
  });

  it('is followed from an old anchor to the present one', async () => {
    const believed = await ok('bundle', 'get', ring, '--verify', '--anchor', old, '--at-least', '4');
    expect(believed).toBe(readFileSync(file('new-ca.crt'), 'utf8'));
    const stranger = put('stranger.crt', await ok('bundle', 'get', 'front-proxy'));
    const refused = await run('bundle', 'get', ring, '--verify', '--anchor', stranger);
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.err).toContain('none of those at hand');
    const older = await run('bundle', 'get', ring, '--generation', '2', '--at-least', '4');
    expect([older.code, older.out]).toEqual([2, '']);
    const without = await run('bundle', 'get', ring, '--verify');
    expect([without.code, without.err]).toEqual([1, expect.stringContaining('--verify needs --anchor') as string]);
    // A ring that was never changed has no manifest, and nothing in it that is not known.
    expect(await ok('bundle', 'get', 'front-proxy', '--verify', '--anchor', stranger)).toContain('BEGIN');
    expect((await run('bundle', 'get', 'front-proxy', '--verify', '--anchor', old)).code).toBe(2);
  });

  testWithPeer('openssl', 'is verified by openssl, as the help says', async () => {
    const { manifest } = JSON.parse(readFileSync(file('2.json'), 'utf8')) as Json;
    put('manifest.json', manifest?.text ?? '');
    writeFileSync(file('manifest.sig'), Buffer.from(manifest?.signature ?? '', 'base64'));
    const openssl = (...args: string[]): string =>
      execFileSync(requirePeer('openssl'), args, { cwd: directory, encoding: 'utf8' });
    put('old.pub', openssl('x509', '-in', 'old-ca.crt', '-noout', '-pubkey'));
    const line = 'dgst -sha256 -verify old.pub -signature manifest.sig manifest.json';
    expect((await inProcess(['bundle', 'verify', '-h'])).out).toContain(`openssl ${line}`);
    expect(openssl(...line.split(' '))).toContain('Verified OK');
  });
});

describe('a certificate that is asked for while its ring has a floor', () => {
  const ring = 'kubernetes';
  const signer = 'kubernetes.io/kube-apiserver-client-kubelet';
  let nodes = 0;
  /** A new node's token and CSR, and how the service is recognised. */
  async function joiner(): Promise<{ csr: string; args: string[] }> {
    const node = `joiner-${String((nodes += 1))}`;
    const { token } = JSON.parse(await ok('token', 'create', '--node', node, '-o', 'json')) as { token: string };
    const csr = await inProcess([
      'cert',
      'csr',
      '--key',
      file(`${node}.key`),
      '--cn',
      `system:node:${node}`,
      '--org',
      'system:nodes',
    ]);
    const trust = ['--server', service.url, '--ca', put('server-ca.crt', service.ca)];
    return { csr: csr.out, args: ['cert', 'issue', '--signer', signer, '--csr', '-', '--token', token, ...trust] };
  }

  it('comes with the CA file before it', async () => {
    const { csr, args } = await joiner();
    const issued = await inProcess([...args, '--bundle-file', file('kube-ca.crt')], { input: csr });
    expect([issued.code, issued.err]).toEqual([0, '']);
    expect(readFileSync(file('kube-ca.crt'), 'utf8')).toMatch(
      /^# rotunda bundle: kubernetes 1 sha256:[0-9a-f]{64}\n-----BEGIN/,
    );
    expect(statSync(file('kube-ca.crt')).mode & 0o777).toBe(0o644);
    expect(
      new X509Certificate(issued.out).verify(new X509Certificate(readFileSync(file('kube-ca.crt'))).publicKey),
    ).toBe(true);
  });

  it('is refused without, and says what to do', async () => {
    const { generation } = await publish.addAuthority(ring, { raiseFloor: true });
    const { csr, args } = await joiner();
    const refused = await inProcess(args, { input: csr });
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.err).toMatch(/^error: .*states none \(stale-bundle\)\nhint: .*\nhint: --bundle-file FILE/);
    const old = await inProcess([...args, '--bundle-generation', '1'], { input: csr });
    expect([old.code, old.err]).toEqual([2, expect.stringContaining('the caller has 1 (stale-bundle)') as string]);
    const stated = await inProcess([...args, '--bundle-generation', String(generation)], { input: csr });
    expect([stated.code, stated.err]).toEqual([0, '']);
    const both = await inProcess([...args, '--bundle-generation', '2', '--bundle-file', file('x.crt')], { input: csr });
    expect([both.code, existsSync(file('x.crt'))]).toEqual([1, false]);
  });

  it('comes with a CA file that is brought up to date, and never taken back', async () => {
    const { csr, args } = await joiner();
    const issued = await inProcess([...args, '--bundle-file', file('kube-ca.crt')], { input: csr });
    expect([issued.code, issued.err]).toEqual([0, '']);
    expect(anchorsIn('kube-ca.crt')).toBe(2);
    const later = readFileSync(file('kube-ca.crt'), 'utf8').replace(/kubernetes \d+/, 'kubernetes 99');
    put('later.crt', later);
    const back = await inProcess([...args, '--bundle-file', file('later.crt')], { input: csr });
    expect([back.code, back.err]).toEqual([1, expect.stringContaining('holds bundle 99') as string]);
    expect(readFileSync(file('later.crt'), 'utf8')).toBe(later);
    put('etcd.crt', later.replace('kubernetes 99', 'etcd 1'));
    const other = await inProcess([...args, '--bundle-file', file('etcd.crt')], { input: csr });
    expect([other.code, other.err]).toEqual([
      1,
      expect.stringContaining('holds the bundle of the ring etcd') as string,
    ]);
  });
});

const entry = fileURLToPath(new URL('entry.ts', import.meta.url));
const loader = import.meta.resolve('tsx');

describe('a CA file that is watched', () => {
  const ring = 'front-proxy';
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function watch(...args: string[]): {
    child: ChildProcess;
    out: () => string;
    err: () => string;
    code: Promise<number | null>;
  } {
    const child = spawn(process.execPath, ['--import', loader, entry, 'bundle', 'watch', ...args], {
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    return { child, out: () => out, err: () => err, code: new Promise((resolve) => child.once('exit', resolve)) };
  }
  const poll = { timeout: 20_000, interval: 50 };

  it('has each new generation, once it is signed by who was trusted before', async () => {
    put('watched.crt', await ok('bundle', 'get', ring));
    const watching = watch(ring, '--output-file', file('watched.crt'), '--verify', '--kubeconfig', service.kubeconfig);
    await expect.poll(watching.err, poll).toContain('holds bundle 1 of the ring front-proxy');
    await publish.addAuthority(ring);
    await expect.poll(watching.err, poll).toContain('holds bundle 2 ');
    expect(anchorsIn('watched.crt')).toBe(2);
    expect(statSync(file('watched.crt')).mode & 0o777).toBe(0o644);
    await publish.addAuthority(ring);
    await expect.poll(watching.err, poll).toContain('holds bundle 3 ');
    expect(watching.out()).toBe('');
    watching.child.kill('SIGINT');
    expect(await watching.code).toBeNull();
  });

  it('goes on where it was, and through a restart of the service', async () => {
    const own = await startTestService();
    const port = Number(new URL(own.url).port);
    const ca = put('own-ca.crt', own.ca);
    const held = file('own.crt');
    const watching = watch('kubernetes', '--server', own.url, '--ca', ca, '--output-file', held, '--anchor', ca);
    await expect.poll(watching.err, poll).toContain('holds bundle 1 ');
    await own.service.stop();
    await expect.poll(watching.err, poll).toContain('trying again');
    const again = await startTestService({
      dataDir: own.dataDir,
      config: { listen: `127.0.0.1:${String(port)}` },
    });
    await publishing(again.service.context).addAuthority('kubernetes');
    await expect.poll(watching.err, poll).toContain('holds bundle 2 ');
    watching.child.kill();
    await watching.code;
    // Started anew it knows what it holds: there is nothing to write.
    const before = statSync(held).mtimeMs;
    const second = watch('kubernetes', '--server', again.url, '--ca', held, '--output-file', held, '--verify');
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect([second.err(), statSync(held).mtimeMs]).toEqual(['', before]);
    await publishing(again.service.context).addAuthority('kubernetes');
    await expect.poll(second.err, poll).toContain('holds bundle 3 ');
    await again.stop();
    await own.stop();
  });

  it('prints where there is no file', async () => {
    const watching = watch(ring, '--kubeconfig', service.kubeconfig, '-o', 'name');
    await expect.poll(watching.out, poll).toMatch(/^bundle\/front-proxy\/\d\n$/);
  });

  it('refuses what cannot be', async () => {
    const unknown = await run('bundle', 'watch', 'nope');
    expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('(not-found)') as string]);
    const missing = await run('bundle', 'watch', ring, '--verify');
    expect([missing.code, missing.err]).toEqual([
      1,
      expect.stringContaining('needs a CA file to begin with') as string,
    ]);
    const stranger = put('stranger2.crt', await ok('bundle', 'get', 'rotunda'));
    const never = file('never.crt');
    const refused = await run('bundle', 'watch', ring, '--anchor', stranger, '--output-file', never);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('none of those at hand') as string]);
    expect(existsSync(never)).toBe(false);
  });
});
