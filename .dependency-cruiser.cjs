/**
 * Arrows between rooms point one way: api, agent, cli -> csr, rotation, fleet, identity -> ca -> store, ca/x509.
 * Types may be named against the arrow (`import type`), because a contract belongs to the room that keeps it.
 */
const runtime = { dependencyTypesNot: ['type-only'] };

const room = (name, from, to, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: to, ...runtime },
});

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two modules that need each other at run time are one module, or a third one is missing.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    room(
      'domain-knows-no-surface',
      '^src/(ca|csr|rotation|fleet|identity|audit|store|config-maps)/',
      '^src/(api|agent|attach|cli|service|server\\.ts|main\\.ts|context\\.ts)',
      'The domain does not know how it is reached.',
    ),
    room(
      'ca-knows-no-requests',
      '^src/ca/',
      '^src/(csr|rotation|fleet|identity|config)/',
      'Rings, authorities and issuing serve the rooms above them.',
    ),
    room(
      'store-knows-no-rules',
      '^src/store/',
      '^src/(ca|csr|rotation|fleet|identity|audit|config)/',
      'Tables hold no rules.',
    ),
    room('surfaces-are-apart', '^src/api/', '^src/(cli|agent)/', 'A surface does not use another one.'),
    room(
      'cli-speaks-http',
      '^src/cli/(?!serve|main|simulate)',
      '^src/(api|ca(?!/x509)|csr|rotation|fleet|identity|store)/',
      'Only `serve` starts the service; every other noun is a client of the REST surface.',
    ),
    room(
      'simulating-needs-no-service',
      '^src/cli/simulate',
      '^src/(api|ca(?!/x509)|csr|rotation/(?!renewal/simulation/)|fleet|identity|store)/',
      '`simulate` computes here, with the code that plans renewals in the service and nothing else of it.',
    ),
    {
      name: 'x509-is-pure',
      comment:
        'ca/x509 computes, and does no I/O: it imports itself, the catalogue of errors, and modules that compute.',
      severity: 'error',
      from: { path: '^src/ca/x509/' },
      to: {
        path: '.',
        pathNot: [
          '^src/ca/x509/',
          '^src/(errors|clock)\\.ts$',
          '^(node:)?(crypto|buffer|net|url|util)$',
          '^node_modules/(ipaddr\\.js|@peculiar/|reflect-metadata|asn1js)',
        ],
        ...runtime,
      },
    },
    {
      name: 'rotation-reducer-is-pure',
      comment: 'The state machine is a function of state and event.',
      severity: 'error',
      from: { path: '^src/rotation/reducer' },
      to: { path: ['^src/store/', '^(node:)?(fs|net|http|https|tls|child_process)(/|$)'], ...runtime },
    },
    {
      name: 'one-door-to-peculiar',
      comment:
        '@peculiar/x509 wants reflect-metadata first, and its names are strings that it parses: one module knows how.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/ca/x509/peculiar\\.ts$' },
      to: { path: '^node_modules/(@peculiar/|reflect-metadata)' },
    },
    {
      name: 'no-test-code-in-the-program',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'no-development-dependency-in-the-program',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], ...runtime },
    },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: 'specify',
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
