import { describe, expect, it } from 'vitest';

import { entriesAfterUpdate } from '../../../src/api/kubernetes/managed-fields.js';
import { applyTo } from '../../../src/api/kubernetes/requests/apply-merge.js';
import { jsonPatch } from '../../../src/api/kubernetes/requests/json-patch.js';
import { mergePatch, strategicMergePatch } from '../../../src/api/kubernetes/requests/merge-patch.js';
import type { CertificateRequest, ObjectMeta } from '../../../src/csr/types.js';
import { RotundaError } from '../../../src/errors.js';

const time = '2026-01-01T00:00:00Z';

function request(metadata: Partial<ObjectMeta> = {}, status: CertificateRequest['status'] = {}): CertificateRequest {
  return {
    metadata: { name: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: time, ...metadata },
    spec: { request: '', signerName: 's.t/u' },
    status,
  };
}

describe('merge patches', () => {
  it('set, replace and remove (RFC 7386)', () => {
    expect(mergePatch({ a: { b: 1, c: [1] } }, { a: { b: null, c: [2], d: { e: null } } })).toEqual({
      a: { c: [2], d: {} },
    });
  });

  it('cannot reach a prototype', () => {
    const patched = mergePatch({}, JSON.parse('{"__proto__":{"polluted":1}}')) as object;
    expect(Object.getPrototypeOf(patched)).toBe(Object.prototype);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it('treat finalizers as a set and conditions as one value when strategic', () => {
    const target = { metadata: { finalizers: ['a', 'b'] }, status: { conditions: [{ type: 'A' }] } };
    expect(
      strategicMergePatch(target, { metadata: { finalizers: ['c'] }, status: { conditions: [{ type: 'B' }] } }),
    ).toEqual({
      metadata: { finalizers: ['a', 'b', 'c'] },
      status: { conditions: [{ type: 'B' }] },
    });
    expect(strategicMergePatch(target, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } })).toMatchObject({
      metadata: { finalizers: ['b'] },
    });
    expect(strategicMergePatch(target, { metadata: { $patch: 'replace', name: 'x' } })).toMatchObject({
      metadata: { name: 'x' },
    });
  });
});

describe('JSON patches', () => {
  it('are refused when they would double themselves without end', () => {
    const operations = Array.from({ length: 200 }, () => ({ op: 'copy', from: '/a', path: '/a/-' }));
    expect(() => jsonPatch({ a: ['x'.repeat(1000)] }, operations)).toThrow(RotundaError);
  });

  it.each([
    [{ op: 'add', path: '/__proto__/x', value: 1 }],
    [{ op: 'add', path: '/a/constructor/prototype/x', value: 1 }],
    [{ op: 'replace', path: '', value: {} }],
    [{ op: 'add', path: 5, value: 1 }],
    [null],
  ])('that are hostile are refused: %j', (operation) => {
    expect(() => jsonPatch({ a: {} }, [operation])).toThrow(
      'the server rejected our request due to an error in our request',
    );
    expect(({} as { x?: number }).x).toBeUndefined();
  });
});

describe('managed fields', () => {
  const entry = (manager: string, fieldsV1: object): Record<string, unknown> => ({
    manager,
    operation: 'Update',
    apiVersion: 'certificates.k8s.io/v1',
    time,
    fieldsType: 'FieldsV1',
    fieldsV1,
  });
  const owner = entry('one', { 'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } } });
  const manager = { name: 'two', operation: 'Update' } as const;

  it('move to whoever changes a field', () => {
    const before = request({ labels: { a: '1' }, managedFields: [owner] });
    const entries = entriesAfterUpdate(before, request({ labels: { a: '2', b: '3' } }), manager, time);
    expect(entries?.map((one) => [one['manager'], one['fieldsV1']])).toEqual([
      ['one', { 'f:metadata': { 'f:labels': {} } }],
      ['two', { 'f:metadata': { 'f:labels': { 'f:a': {}, 'f:b': {} } } }],
    ]);
  });

  it('stay as they are without a change, and untracked objects untracked', () => {
    const tracked = request({ labels: { a: '1' }, managedFields: [owner] });
    expect(entriesAfterUpdate(tracked, request({ labels: { a: '1' } }), manager, 'later')).toBe(
      tracked.metadata.managedFields,
    );
    expect(entriesAfterUpdate(request(), request({ labels: { a: '1' } }), manager, time)).toBeUndefined();
  });

  it('of an apply keep what others own and drop what is left out', () => {
    const apply = { name: 'x', operation: 'Apply' } as const;
    const once = applyTo({
      current: request({ labels: { a: '1' }, managedFields: [owner] }),
      applied: request({ labels: { b: '2', c: '3' } }),
      manager: apply,
      force: false,
      time,
    });
    expect(once.metadata.labels).toEqual({ a: '1', b: '2', c: '3' });
    const twice = applyTo({
      current: once,
      applied: request({ labels: { c: '3' } }),
      manager: apply,
      force: false,
      time,
    });
    expect(twice.metadata.labels).toEqual({ a: '1', c: '3' });
    expect(
      applyTo({
        current: twice,
        applied: request({ labels: { c: '3' } }),
        manager: apply,
        force: false,
        time: 'later',
      }),
    ).toEqual(twice);
  });

  it('of an apply over an object with fields of unknown origin conflict with these', () => {
    const options = {
      current: request({ labels: { a: '1', b: '1' } }),
      applied: request({ labels: { a: '2', b: '2' } }),
      manager: { name: 'x', operation: 'Apply' } as const,
      time,
    };
    expect(() => applyTo({ ...options, force: false })).toThrow(
      'Apply failed with 2 conflicts: conflicts with "before-first-apply" using certificates.k8s.io/v1:\n- .metadata.labels.a\n- .metadata.labels.b',
    );
    expect(applyTo({ ...options, force: true }).metadata.labels).toEqual({ a: '2', b: '2' });
  });
});
