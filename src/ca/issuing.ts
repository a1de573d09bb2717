import type { Clock, Random } from '../clock.js';
import { RotundaError } from '../errors.js';
import type { WriteTx } from '../store/types.js';
import type { Ledger } from './ledger.js';
import { createCheck } from './recheck.js';
import { checkOrder } from './rules.js';
import type { Signer } from './signers.js';
import type { IssuedCertificate, Issuing, LeafOrder, PreparedCertificate } from './types.js';
import { lintLeaf } from './x509/lint.js';
import type { LeafSpec } from './x509/types.js';

/** How far a prepared certificate has come. Signing needs `durable`, and is the step to `signed` whether or not it succeeds. */
type Progress = { stage: 'prepared' | 'durable' | 'signed'; readonly signer: Signer };

export type IssuingOptions = {
  /** The signer of a ring now. Throws RotundaError 'not-found'. */
  readonly signer: (ring: string) => Signer;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly clock: Clock;
  readonly rotundaRing: string;
  /** Called when the database has another signer than the one in memory. */
  readonly onStale: () => void;
};

/**
 * Issuing in the only order there is. Prepared and issued certificates are known by identity: an object that these
 * functions did not make, or one that was signed before, goes no further.
 */
export function createIssuing({ signer, ledger, random, clock, rotundaRing, onStale }: IssuingOptions): Issuing {
  const progress = new WeakMap<PreparedCertificate, Progress>();
  const issuedHere = new WeakSet<IssuedCertificate>();
  const recheck = createCheck();

  const progressOf = (prepared: PreparedCertificate): Progress => {
    const found = progress.get(prepared);
    if (found === undefined) throw defect('the certificate was not prepared here');
    return found;
  };

  return Object.freeze({
    prepare(order: LeafOrder) {
      const current = signer(order.ring);
      checkOrder(order, current, rotundaRing);
      const prepared = prepareLeaf(order, current, {
        serial: serialNumber(random, clock.now().getTime()),
        allowReservedGroups: order.ring === rotundaRing,
      });
      progress.set(prepared, { stage: 'prepared', signer: current });
      return prepared;
    },
    async intend(tx: WriteTx, prepared: PreparedCertificate) {
      const own = progressOf(prepared);
      if (own.stage !== 'prepared') throw defect('the certificate was intended before');
      if (!(await ledger.intend(tx, prepared))) {
        onStale();
        throw new RotundaError('conflict', `the signer of the ring ${prepared.order.ring} has changed; prepare again`);
      }
      tx.onCommit(() => {
        own.stage = 'durable';
      });
    },
    async sign(prepared: PreparedCertificate) {
      const own = progressOf(prepared);
      if (own.stage !== 'durable') {
        throw defect(
          own.stage === 'signed' ? 'the certificate was signed before' : 'the ledger does not know the certificate',
        );
      }
      own.stage = 'signed';
      const der = await own.signer.issuer.sign(prepared.tbs);
      const issued = recheck(prepared, der, own.signer);
      issuedHere.add(issued);
      return issued;
    },
    async record(tx: WriteTx, issued: IssuedCertificate) {
      if (!issuedHere.has(issued)) throw defect('the certificate was not signed here');
      await ledger.record(tx, issued);
    },
  });
}

function defect(what: string): RotundaError {
  return new RotundaError('internal', `issuing out of order: ${what}`);
}

/** Set in the first byte, so that every serial is positive, 16 octets long and needs no leading zero. */
const serialPrefix = 0x40;

/**
 * `0x40`, the time in seconds (4 octets), 11 random octets: 88 random bits, where RFC 5280 4.1.2.2 asks for uniqueness
 * and the CA/Browser Forum for 64 bits. Serials that grow with time keep the ledger's and the inventory's keys in the
 * order of their rows, so that a batch of issuances touches few pages; the time is in notBefore anyway. The ledger's
 * primary key refuses a repeated one.
 */
export function serialNumber(random: Random, now: number): Buffer {
  const serial = Buffer.alloc(16);
  serial[0] = serialPrefix;
  serial.writeUInt32BE(Math.floor(now / 1000) % 2 ** 32, 1);
  random.bytes(11).copy(serial, 5);
  return serial;
}

function prepareLeaf(
  order: LeafOrder,
  signer: Signer,
  { serial, allowReservedGroups }: { readonly serial: Buffer; readonly allowReservedGroups: boolean },
): PreparedCertificate {
  const spec: LeafSpec = Object.freeze({
    serial,
    subject: order.subject,
    names: order.names,
    spki: order.spki,
    notBefore: order.notBefore,
    notAfter: order.notAfter,
    keyUsages: order.keyUsages,
    extendedKeyUsages: order.extendedKeyUsages,
  });
  const tbs = signer.template.encodeTbs(spec);
  lintLeaf(tbs, spec, signer.issuer.info, { allowReservedGroups });
  return Object.freeze({ order, spec, serial: serial.toString('hex'), ski: signer.ski, epoch: signer.epoch, tbs });
}
