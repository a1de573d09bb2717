import { describe, expect, it } from 'vitest';

import { inProcess } from './rotunda.js';

type Json = { items: { scenario: { certificates: number; policy: string }; turns: { ratio: number }[] }[] };

describe('simulate', () => {
  it('shows loads as a table', async () => {
    const { code, out, err } = await inProcess(['simulate', '--certificates', '1e3', '--turns', '2']);
    expect(code).toBe(0);
    const [head = '', first = '', second = '', rest] = out.split('\n');
    expect(head).toMatch(/^POLICY +CERTIFICATES +TURN +FROM +UNTIL +RENEWALS +PEAK +MEAN +PEAK\/MEAN +PEAK\/S$/);
    expect(first).toMatch(/^steered +1000 +1 +12h +20h +1000 +\d+\.\d\/\d+s +32\.\d\/\d+s +1\.0\d +0\.0\d$/);
    expect(second).toMatch(/^steered +1000 +2 /);
    expect(rest).toBe('');
    expect(err).toMatch(/^steered, 1000 certificates: \d+\.\d s\n$/);
  });

  it('tells what an outage and a rotation do', async () => {
    const flags = ['--outage', '8h', '--outage-at', '5d', '--rotation-at', '36h', '--rate', '1', '--turns', '1'];
    const { code, out } = await inProcess(['simulate', '--certificates', '2000', ...flags]);
    expect(code).toBe(0);
    expect(out).toMatch(/\nPOLICY +CERTIFICATES +BACK AT +EXPIRED +LATE +SHARE +DRAINED AFTER +TURNED AWAY\n/);
    expect(out).toMatch(/\nPOLICY +CERTIFICATES +WAVE OVER +ALL RENEWED AFTER +PEAK +PEAK\/S +TURNED AWAY\n/);
  });

  it('takes powers of ten, lists and several policies, and prints json', async () => {
    const numbers = async (certificates: string, policy = 'steered'): Promise<(readonly [string, number])[]> => {
      const args = ['simulate', '--certificates', certificates, '--policy', policy, '--turns', '1', '-o', 'json'];
      const { items } = JSON.parse((await inProcess(args)).out) as Json;
      return items.map(({ scenario }) => [scenario.policy, scenario.certificates] as const);
    };
    expect(await numbers('1e2..1e4')).toEqual([
      ['steered', 100],
      ['steered', 1000],
      ['steered', 10_000],
    ]);
    expect(await numbers('300,200', 'fixed,kubelet')).toEqual([
      ['fixed', 300],
      ['fixed', 200],
      ['kubelet', 300],
      ['kubelet', 200],
    ]);
  });

  it.each([
    [['--certificates', '0'], '--certificates "0" is not a number from 1 to 20000000'],
    [['--certificates', '1e3..1e2'], '--certificates "1e3..1e2" is not a range'],
    [['--certificates', '1.5'], '--certificates "1.5" is not a whole number'],
    [['--certificates', '-3'], '--certificates "-3" is not a number from 1 to 20000000'],
    [['--lifetime', '1m'], '--lifetime must be from 10m to 10y'],
    [['--lifetime', 'long'], '--lifetime "long" is not a duration'],
    [['--window', '85-50'], '--window "85-50" is not FROM-UNTIL in per cent'],
    [['--window', '50'], '--window "50" is not FROM-UNTIL in per cent'],
    [['--window', 'a-b'], '--window "a-b" is not FROM-UNTIL in per cent'],
    [['--policy', 'best'], '--policy "best" is not known'],
    [['--policy', 'toString'], '--policy "toString" is not known'],
    [['--outage-at', '5d'], '--outage-at says when, and --outage is missing'],
    [['--rate', '0'], '--rate "0" is not a number from 0.001 to 10000000'],
    [['--shortest', '2'], '--shortest "2" is not a number from 0.01 to 1'],
    [['--bucket', '1s', '--lifetime', '10y'], 'there would be too much time in too small pieces'],
    [['-o', 'pem'], 'this cannot be printed as pem'],
  ])('%j is told what is wrong', async (flags, message) => {
    const { code, out, err } = await inProcess(['simulate', '--turns', '1', ...flags]);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`error: ${message}\n`);
  });
});
