import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';

import { cpuPerCall, type Row } from './report.js';

export type Floor = { readonly signUs: number; readonly verifyUs: number; readonly importUs: number };

/** What this machine's OpenSSL needs for the work that cannot be left out: one verification and one signature, P-256. */
export function measureFloor(): Floor {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const message = randomBytes(400);
  const signature = sign('sha256', message, privateKey);
  const jwk = publicKey.export({ format: 'jwk' });
  return {
    signUs: cpuPerCall(3000, () => sign('sha256', message, privateKey)),
    verifyUs: cpuPerCall(3000, () => verify('sha256', message, publicKey, signature)),
    importUs: cpuPerCall(3000, () => createPublicKey({ key: jwk, format: 'jwk' })),
  };
}

export function floorRows(floor: Floor): Row[] {
  const perSecond = 1e6 / (floor.signUs + floor.verifyUs);
  return [
    { what: 'raw P-256 signature', value: floor.signUs, unit: 'µs' },
    { what: 'raw P-256 verification', value: floor.verifyUs, unit: 'µs' },
    { what: 'public key import (JWK)', value: floor.importUs, unit: 'µs' },
    { what: "this machine's bound: one signature and one verification", value: perSecond, unit: '/s of one core' },
  ];
}
