import { insertRows } from '../precompiled.js';

export const insertAuditEvents = insertRows('audit_events', [
  'at',
  'action',
  'actor',
  'resource',
  'name',
  'outcome',
  'detail',
]);
