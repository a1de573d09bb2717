import { type FieldCause, invalid, RotundaError } from '../../errors.js';
import type { FieldValidation } from './codec/decode.js';
import { first, flag, type Query } from './target.js';

/** Options of a write, from the query. */
export type WriteOptions = {
  readonly dryRun: boolean;
  readonly fieldManager: string | undefined;
  readonly fieldValidation: FieldValidation;
  readonly force: boolean;
};

type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions' | 'ListOptions';

const noOptions: WriteOptions = { dryRun: false, fieldManager: undefined, fieldValidation: 'Warn', force: false };
const validations = ['', 'Ignore', 'Strict', 'Warn'];
const longestManager = 128;

/** Reads and checks the options of a write. Throws 'invalid' with the options' own kind, as upstream. */
export function writeOptions(kind: OptionsKind, query: Query, patchType?: string): WriteOptions {
  const fieldManager = first(query['fieldManager']);
  const validation = first(query['fieldValidation']) ?? '';
  const apply = patchType === 'apply';
  if (
    fieldManager === undefined &&
    validation === '' &&
    query['dryRun'] === undefined &&
    query['force'] === undefined &&
    !apply
  )
    return noOptions;
  const causes: FieldCause[] = [];
  if (patchType !== undefined && !apply && query['force'] !== undefined)
    causes.push({
      field: 'force',
      reason: 'FieldValueForbidden',
      message: 'Forbidden: may not be specified for non-apply patch',
    });
  if (apply && (fieldManager ?? '') === '')
    causes.push({
      field: 'fieldManager',
      reason: 'FieldValueRequired',
      message: 'Required value: is required for apply patch',
    });
  causes.push(...managerCauses(fieldManager ?? ''), ...dryRunCauses(query['dryRun']));
  if (!validations.includes(validation)) {
    causes.push({
      field: 'fieldValidation',
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(validation)}: supported values: ${validations.map((v) => `"${v}"`).join(', ')}`,
    });
  }
  if (causes.length > 0) throw invalid(causes, { group: 'meta.k8s.io', kind });
  return {
    dryRun: query['dryRun'] !== undefined,
    fieldManager: fieldManager === '' ? undefined : fieldManager,
    fieldValidation: validation === '' ? 'Warn' : (validation as FieldValidation),
    force: flag(query['force']),
  };
}

/** Upstream's rule for `dryRun`: only `All` means something. */
export function dryRunCauses(given: string | readonly string[] | undefined): FieldCause[] {
  const values = given === undefined ? [] : typeof given === 'string' ? [given] : given;
  if (values.every((value) => value === 'All')) return [];
  return [
    {
      field: 'dryRun',
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`,
    },
  ];
}

function managerCauses(manager: string): FieldCause[] {
  const causes: FieldCause[] = [];
  if (Buffer.byteLength(manager) > longestManager)
    causes.push({
      field: 'fieldManager',
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${String(longestManager)} bytes`,
    });
  if (/[^\P{C}]/u.test(manager))
    causes.push({
      field: 'fieldManager',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(manager)}: should only contain printable characters`,
    });
  return causes;
}

/** The manager's name for managedFields: the parameter, or the User-Agent before its slash. */
export function managerName(option: string | undefined, userAgent: string | undefined): string {
  if (option !== undefined) return option;
  const name = (userAgent ?? '').split('/', 1)[0] ?? '';
  return name === '' ? 'unknown' : name.slice(0, longestManager);
}

/** Options of a list or watch, from the query. */
export type ListOptions = {
  readonly limit: number | undefined;
  readonly continue: string | undefined;
  readonly resourceVersion: number | undefined;
  readonly resourceVersionMatch: string | undefined;
  readonly sendInitialEvents: boolean | undefined;
  readonly allowWatchBookmarks: boolean;
  readonly timeoutSeconds: number | undefined;
};

/** Reads and checks the options of a list or watch. Throws 'bad-request' and 'invalid' in upstream's words. */
export function listOptions(query: Query, watch: boolean): ListOptions {
  const limit = integer(first(query['limit']));
  const timeoutSeconds = integer(first(query['timeoutSeconds']));
  const token = first(query['continue']) ?? '';
  const version = first(query['resourceVersion']) ?? '';
  const match = first(query['resourceVersionMatch']) ?? '';
  const initial = query['sendInitialEvents'] === undefined ? undefined : flag(query['sendInitialEvents']);
  const causes = watch ? watchCauses(match, token, initial) : listCauses(match, version, token, initial);
  if (causes.length > 0) throw invalid(causes, { group: 'meta.k8s.io', kind: 'ListOptions' });
  if (token !== '' && version !== '' && version !== '0')
    throw new RotundaError('bad-request', 'specifying resource version is not allowed when using continue');
  return {
    limit: limit === undefined || limit <= 0 ? undefined : limit,
    continue: token === '' ? undefined : token,
    resourceVersion: resourceVersionOf(version, watch),
    resourceVersionMatch: match === '' ? undefined : match,
    sendInitialEvents: initial,
    allowWatchBookmarks: flag(query['allowWatchBookmarks']),
    timeoutSeconds,
  };
}

function resourceVersionOf(version: string, watch: boolean): number | undefined {
  if (version === '') return undefined;
  if (/^\d{1,20}$/.test(version)) return Number(version);
  const message = `resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`;
  throw new RotundaError('bad-request', watch ? message : `invalid resource version: ${message}`);
}

/** Go's ParseInt of a query value: its error is a 400. */
function integer(value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined;
  if (!/^[+-]?\d+$/.test(value))
    throw new RotundaError('bad-request', `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  const number = Number(value);
  if (Math.abs(number) >= 2 ** 63)
    throw new RotundaError('bad-request', `strconv.ParseInt: parsing ${JSON.stringify(value)}: value out of range`);
  return number;
}

const forbidden = (field: string, message: string): FieldCause => ({
  field,
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${message}`,
});

function matchCauses(match: string, supported: readonly string[]): FieldCause[] {
  if (supported.includes(match) || match === '') return [];
  const list = supported.map((value) => `"${value}"`).join(', ');
  return [
    {
      field: 'resourceVersionMatch',
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(match)}: supported values: ${list}`,
    },
  ];
}

function watchCauses(match: string, token: string, initial: boolean | undefined): FieldCause[] {
  const causes: FieldCause[] = [];
  const field = 'resourceVersionMatch';
  if (initial !== undefined && match !== 'NotOlderThan')
    causes.push(forbidden(field, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  if (match === '') return causes;
  if (initial === undefined)
    causes.push(forbidden(field, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
  causes.push(...matchCauses(match, ['NotOlderThan']));
  if (token !== '') causes.push(forbidden(field, 'resourceVersionMatch is forbidden when continue is provided'));
  return causes;
}

function listCauses(match: string, version: string, token: string, initial: boolean | undefined): FieldCause[] {
  const causes: FieldCause[] = [];
  if (match !== '') {
    if (version === '')
      causes.push(
        forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
      );
    if (token !== '')
      causes.push(forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
    causes.push(...matchCauses(match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && version === '0')
      causes.push(
        forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
      );
  }
  if (initial !== undefined) causes.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  return causes;
}
