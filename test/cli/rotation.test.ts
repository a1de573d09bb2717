import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';

import { runCli } from '../../src/cli/main.js';
import { startRotatingService, type RotatingService } from '../support/rotating.js';
import { csrFor } from '../api/rest/service.js';
import { inProcess, type Ran } from './rotunda.js';

vi.setConfig({ testTimeout: 90_000 });

const ring = 'front-proxy';
/** How commands to a terminal begin. */
const escape = '\u001b';

describe('rotunda rotation', () => {
  let service: RotatingService;
  beforeEach(async () => {
    service = await startRotatingService();
    await service.service.rotate();
  });
  afterEach(() => service.stop());

  const run = (...args: string[]): Promise<Ran> => inProcess([...args, '--kubeconfig', service.kubeconfig]);
  const ok = async (...args: string[]): Promise<string> => {
    const ran = await run(...args);
    expect([args, ran.code, ran.err]).toEqual([args, 0, '']);
    return ran.out;
  };
  /** Lets time pass until what is being waited for is there. */
  const passUntil = async <T>(done: Promise<T>): Promise<T> => {
    const state = { over: false };
    void done.finally(() => (state.over = true));
    await sleep(300);
    while (!state.over) {
      await service.pass();
      await sleep(700);
    }
    return done;
  };

  it('takes a ring from one authority to the next, by the commands that it names', async () => {
    const plan = await ok('rotation', 'start', ring, '--dry-run');
    expect(plan).toMatch(/^A rotation of front-proxy: planned, with a cross-certificate/);
    expect(plan).toMatch(/\nSTEP +STATE +BEGINS +LASTS/);
    expect((await run('rotation', 'list')).err).toBe('no rotation found\n');
    expect(await ok('rotation', 'start', ring, '--reason', 'yearly')).toMatch(
      /^ID +RING +KIND +STATE .*\nfront-proxy-1 +front-proxy +planned +staged/,
    );
    await service.pass(2);
    const status = await ok('rotation', 'status');
    expect(status).toMatch(
      /^front-proxy-1: planned rotation of front-proxy, trusting, started 4m ago, by admin: yearly\n/,
    );
    expect(status).toMatch(
      /\n {2}done +staged +\S+Z, bundle 1\n {2}now +trusting +\S+Z, bundle 2, for 2m\n {2}to come +canary\n/,
    );
    expect(status).toContain('gate trust, before canary: 4 of 6, 2 in the way\n  kube-apiserver: ');
    const explained = await ok('rotation', 'explain');
    expect(explained).toMatch(/\nto canary: gate trust, 4 of 6, 2 in the way\n/);
    expect(explained).toMatch(/\nto untrusting: rotunda rotation rollback leads there\n/);
    expect(explained).toMatch(
      /\nhistory:\n {2}\S+Z {2}start while staged: yearly \(admin\)\n {2}\S+Z {2}staged -> trusting/,
    );
    const remedies = [...explained.matchAll(/- rotunda (attestation create .*?), where there is none/g)];
    expect(remedies).toHaveLength(2);
    for (const [, command = ''] of remedies)
      expect((await run(...command.replace('TEXT', 'none-here').split(' '))).code).toBe(0);
    expect(await ok('rotation', 'status')).toContain('gate trust, before canary: 6 of 6, it passes\n');
    const watched = await passUntil(run('rotation', 'status', '--watch', '--interval', '1s'));
    expect([watched.code, watched.err]).toEqual([0, '']);
    expect(watched.out).toContain('front-proxy-1: trusting -> canary (system:rotunda)\n');
    expect(watched.out).toMatch(/front-proxy-1: cooling -> finished \(system:rotunda\)\n$/);
    expect(await ok('rotation', 'status', ring)).toMatch(
      /^front-proxy-1: planned rotation of front-proxy, finished, took \d+m/,
    );
    expect(await ok('rotation', 'list', '-o', 'name')).toBe('rotation/front-proxy-1\n');
    expect(await ok('rotation', 'events', ring)).toMatch(
      /^TIME +KIND +WHAT +BY\n\S+ +operator +start while staged: yearly +admin\n/,
    );
    const none = await run('rotation', 'status');
    expect([none.code, none.err]).toEqual([1, expect.stringMatching(/^error: no rotation is running\nhint: /)]);
  });

  it('is data where data is wanted', async () => {
    await ok('rotation', 'start', ring, '-o', 'name');
    await service.pass();
    const status = JSON.parse(await ok('rotation', 'status', '-o', 'json')) as {
      rotation: { id: string; state: string };
    };
    expect(status).toMatchObject({ rotation: { id: 'front-proxy-1', state: 'trusting' }, leaves: { old: 0, new: 0 } });
    expect(status).not.toHaveProperty('events');
    expect(parse(await ok('rotation', 'explain', '-o', 'yaml'))).toMatchObject({
      ways: [{ gate: { name: 'trust' } }, {}],
      events: [{}, {}],
    });
    expect(JSON.parse(await ok('rotation', 'plan', '-o', 'json'))).toMatchObject({ rotation: 'front-proxy-1' });
    expect(JSON.parse(await ok('rotation', 'start', 'etcd', '--dry-run', '-o', 'json'))).toMatchObject({
      plan: { ring: 'etcd' },
    });
    expect(await ok('rotation', 'status', '-o', 'name')).toBe('rotation/front-proxy-1\n');
    expect(await ok('rotation', 'list', '-o', 'wide')).toMatch(/POLICY +OLD +NEW +STARTED BY +REASON/);
    const wrong = await run('rotation', 'explain', '-o', 'pem');
    expect([wrong.code, wrong.out]).toEqual([1, '']);
  });

  it('turns back, and says where it cannot', async () => {
    await ok('rotation', 'start', ring, '--policy', 'manual');
    expect(await ok('rotation', 'status')).toContain(
      'stands still: it is led by hand; rotunda rotation advance front-proxy-1',
    );
    await ok('rotation', 'advance', '--reason', 'go');
    await service.pass();
    expect(await ok('rotation', 'rollback', '--dry-run')).toMatch(
      /trusting \(now\)[\s\S]*untrusting[\s\S]*rolled-back/,
    );
    const moved = await run('rotation', 'rollback', '--if-version', '1');
    expect([moved.code, moved.err]).toEqual([2, expect.stringContaining('it was changed since version 1 (conflict)')]);
    expect(await ok('rotation', 'pause')).toMatch(/trusting \(paused\)/);
    expect(await ok('rotation', 'status')).toContain(
      'stands still: it is paused; rotunda rotation resume front-proxy-1',
    );
    await ok('rotation', 'resume');
    expect(await ok('rotation', 'rollback', '--reason', 'old firmware')).toMatch(/untrusting \(back\)/);
    await ok('rotation', 'advance');
    await service.pass();
    const over = await run('rotation', 'rollback', ring);
    expect([over.code, over.err]).toEqual([
      2,
      expect.stringContaining('the rotation front-proxy-1 is over: rolled-back'),
    ]);
    const unknown = await run('rotation', 'pause', 'nope');
    expect([unknown.code, unknown.err]).toEqual([
      2,
      'error: there is no rotation "nope" (not-found)\nhint: rotunda rotation list shows them\n',
    ]);
  });

  it('asks which one is meant where several run', async () => {
    await ok('rotation', 'start', ring);
    await ok('rotation', 'start', 'etcd');
    const ran = await run('rotation', 'pause');
    expect([ran.code, ran.err]).toEqual([
      1,
      'error: several rotations are running: which one is meant?\nhint: give one of etcd-1, front-proxy-1\n',
    ]);
    const twice = await run('rotation', 'start', ring);
    expect([twice.code, twice.err]).toEqual([
      2,
      expect.stringMatching(/is staged \(conflict\)\nhint: rotunda rotation explain/),
    ]);
  });

  it('begins an emergency only where that is meant', async () => {
    const shown = await run('rotation', 'start', 'kubernetes', '--emergency', '--deadline', '4h');
    expect(shown.code).toBe(1);
    expect(shown.out).toMatch(/^An emergency of kubernetes: the key [0-9a-f]{40} is tainted for ever/);
    expect(shown.out).toContain('There is no way back');
    expect(shown.err).toMatch(/^error: an emergency is not begun without --yes\nhint: /);
    const dry = await ok('rotation', 'start', 'kubernetes', '--emergency', '--security-first', '--dry-run');
    expect(dry).toContain(shown.out.slice(0, 60));
    expect(dry).toMatch(/\nA rotation of kubernetes: emergency/);
    expect((await run('rotation', 'list')).err).toBe('no rotation found\n');
    const silent = await run('rotation', 'start', 'kubernetes', '--emergency', '--yes');
    expect([silent.code, silent.err]).toEqual([
      2,
      expect.stringContaining('reason: an emergency is not declared without saying why'),
    ]);
    const declared = await ok('rotation', 'start', 'kubernetes', '--emergency', '--reason', 'stolen', '--yes');
    expect(declared).toMatch(/kubernetes-1 +kubernetes +emergency +declared/);
    expect(await ok('rotation', 'status')).toMatch(/cuts off whoever has not followed in (1d|23h)/);
    const back = await run('rotation', 'rollback');
    expect([back.code, back.err]).toEqual([2, expect.stringContaining('must never sign again')]);
  });

  it.each([
    [['--deadline', '4h'], 'error: --compromised, --deadline, --security-first and --yes belong to --emergency\n'],
    [['--emergency', '--reissue'], "error: option '--reissue' cannot be used with option '--emergency'\n"],
    [['--policy', 'maybe'], /^error: option '--policy <policy>' argument 'maybe' is invalid/],
    [['--public-key', '/nope'], /^error: cannot read \/nope: /],
  ])('start %j is told what is wrong', async (flags, message) => {
    const ran = await run('rotation', 'start', ring, ...flags);
    expect([ran.code, ran.out]).toEqual([1, '']);
    if (typeof message === 'string') expect(ran.err).toBe(message);
    else expect(ran.err).toMatch(message);
  });

  it('waits for the end, with its progress beside the data', async () => {
    await service.attestAbsent(ring);
    const waited = await passUntil(run('rotation', 'start', ring, '--wait', '--interval', '1s', '-o', 'json'));
    expect(waited.code).toBe(0);
    expect(JSON.parse(waited.out)).toMatchObject({ id: 'front-proxy-1', state: 'finished' });
    expect(waited.err).toMatch(/front-proxy-1: .* -> finished \(system:rotunda\)\n$/);
    const never = await run('rotation', 'status', ring, '--wait-for', 'retrusting');
    expect([never.code, never.err]).toEqual([2, expect.stringContaining('was never retrusting: it is finished')]);
    expect((await run('rotation', 'status', ring, '--wait-for', 'issuing')).code).toBe(0);
    expect((await run('rotation', 'status', ring, '--wait-for', 'heaven')).code).toBe(1);
    const turned = run('rotation', 'start', ring, '--policy', 'manual', '--wait', '--interval', '1s');
    await expect
      .poll(async () => (await run('rotation', 'list', '--running', '-o', 'name')).out)
      .toContain('front-proxy-2');
    await ok('rotation', 'rollback', 'front-proxy-2');
    const ended = await turned;
    expect([ended.code, ended.err]).toEqual([2, 'error: the rotation front-proxy-2 is aborted\n']);
  });

  it('is drawn anew in its place on a terminal', async () => {
    await service.attestAbsent(ring);
    await ok('rotation', 'start', ring);
    let out = '';
    const io = {
      out: (text: string) => (out += text),
      err: () => undefined,
      env: {},
      input: () => Promise.resolve(''),
      terminal: () => ({ columns: 40, rows: 8 }),
    };
    const args = ['rotation', 'status', '--watch', '--interval', '1s', '--kubeconfig', service.kubeconfig];
    expect(await passUntil(runCli(args, io))).toBe(0);
    const [first = '', ...drawings] = out.split(new RegExp(`${escape}\\[\\d+A${escape}\\[J`));
    expect(drawings.length).toBeGreaterThan(2);
    for (const drawing of [first, ...drawings]) {
      const lines = drawing.trimEnd().split('\n');
      expect(lines.length).toBeLessThanOrEqual(7);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40);
    }
    expect(out).toContain(`${escape}[7A${escape}[J`);
    expect(drawings.at(-1)).toMatch(/^front-proxy-1: planned rotation of /);
  });

  it('lists what keeps an authority in use, and takes out of it what nothing presents', async () => {
    const admin = service.client(service.admin);
    const asked = { signerName: 'kubernetes.io/kube-apiserver-client', request: csrFor('alice'), name: 'alice' };
    await admin.send('POST', '/pki/v1/requests', { body: asked });
    await admin.send('POST', '/pki/v1/requests/alice/approve', { body: {} });
    const { ski } = service.service.context.ca.ring('kubernetes').active;
    const listed = ['cert', 'list', '--authority', ski, '--in-use', '-o', 'json'];
    const serials = async (): Promise<string[]> =>
      (JSON.parse(await ok(...listed)) as { items: { serial: string; commonName: string }[] }).items
        .filter(({ commonName }) => commonName === 'alice')
        .map(({ serial }) => serial);
    await expect.poll(serials).toHaveLength(1);
    const [serial = ''] = await serials();
    const silent = await run('cert', 'supersede', serial);
    expect([silent.code, silent.err]).toEqual([1, "error: required option '--reason <text>' not specified\n"]);
    expect(await ok('cert', 'supersede', serial, '--reason', 'alice has left')).toMatch(/ superseded\n$/);
    expect(await serials()).toEqual([]);
    const unknown = await run('cert', 'supersede', 'ff', '--reason', 'x');
    expect([unknown.code, unknown.err]).toEqual([2, 'error: there is no certificate "ff" (not-found)\n']);
  });
});

it('follows a rotation through a restart of the service', async () => {
  const first = await startRotatingService();
  const { port } = new URL(first.url);
  const dataDir = first.dataDir;
  const run = (...args: string[]): Promise<Ran> => inProcess([...args, '--kubeconfig', first.kubeconfig]);
  // Led by hand, so that it is not there before the service is away.
  expect((await run('rotation', 'start', ring, '--policy', 'manual')).code).toBe(0);
  const watching = run('rotation', 'status', '--wait-for', 'trusting', '--interval', '1s');
  await sleep(500);
  // As its own, so that its files stay.
  await first.service.stop();
  await sleep(1500);
  const again = await startRotatingService({ dataDir, config: { listen: `127.0.0.1:${port}` } }, first.clock);
  try {
    expect((await run('rotation', 'advance')).code).toBe(0);
    await again.pass(2);
    const ran = await watching;
    expect(ran.code).toBe(0);
    expect(ran.err).toMatch(/trying again\n/);
    expect(ran.out).toContain('staged -> trusting');
  } finally {
    await again.stop();
    await first.stop();
  }
});
