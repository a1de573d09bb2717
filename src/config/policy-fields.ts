/** The fields of the configuration file that decide about requests. */
export const policyFields = [
  'rings',
  'topology',
  'allowInsecureSharedCA',
  'lifetimes',
  'nodeApproval',
  'profiles',
  // Lifetimes are checked against it.
  'rotation',
] as const;
