/** One command as it is run: NAME is an object of its own, FILE a manifest of it, in arguments and in expectations. */
export type Row = {
  readonly command: readonly string[];
  /** What must be there before: the object (pending), the object approved, or only its manifest. */
  readonly before?: 'request' | 'approved' | 'manifest' | 'applied' | 'nothing';
  /** Commands of the same kubectl that come first and must succeed. */
  readonly first?: readonly (readonly string[])[];
  readonly stdout?: RegExp;
  readonly stderr?: RegExp;
  /** Exit code; 0 when left out. */
  readonly code?: number;
  /** The object afterwards, as JSON text. */
  readonly after?: RegExp;
  /** Whether the object is gone afterwards. */
  readonly gone?: boolean;
  /** The first minor version of kubectl that has it, or can do it without `/openapi/v2`, and why. */
  readonly since?: readonly [number, string];
};

const flag = (minor: number): readonly [number, string] => [minor, `since 1.${String(minor)}`];
/** Before 1.27 kubectl validates by `/openapi/v2`, which is not served. */
const v2 = [27, 'needs `/openapi/v2`; use `--validate=false`'] as const;
const v2Only = [27, 'needs `/openapi/v2`'] as const;

const reading: readonly Row[] = [
  { command: ['version'], stdout: /Server Version.*1\.36/s },
  { command: ['api-versions'], stdout: /^certificates\.k8s\.io\/v1$/m },
  {
    command: ['api-resources', '--api-group=certificates.k8s.io'],
    stdout: /certificatesigningrequests +csr +certificates\.k8s\.io\/v1 +false +CertificateSigningRequest/,
  },
  { command: ['get', 'csr'], stdout: /NAME +AGE +SIGNERNAME +REQUESTOR +.*CONDITION\n(.*\n)*NAME .*Pending/ },
  { command: ['get', 'csr', 'NAME'], stdout: /\nNAME +\d+s +example\.com\/x +admin +.*Pending/ },
  { command: ['get', 'csr', 'NAME', '-o', 'wide'], stdout: /\nNAME +\d+s +example\.com\/x +admin +.*Pending/ },
  {
    command: ['get', 'csr', 'NAME', '-o', 'yaml'],
    stdout: /^kind: CertificateSigningRequest$(.|\n)*^ {2}name: NAME$/m,
  },
  { command: ['get', 'csr', 'NAME', '-o', 'json'], stdout: /"kind": "CertificateSigningRequest"/ },
  {
    command: ['get', 'csr', 'NAME', '-o', 'name'],
    stdout: /^certificatesigningrequest\.certificates\.k8s\.io\/NAME$/m,
  },
  { command: ['get', 'csr', 'NAME', '-o', 'jsonpath={.spec.signerName}'], stdout: /^example\.com\/x$/ },
  {
    command: ['get', 'csr', 'NAME', '-o', 'custom-columns=N:.metadata.name,S:.spec.signerName'],
    stdout: /^N +S\nNAME +example\.com\/x$/m,
  },
  { command: ['get', 'csr', '-l', 'app=NAME'], stdout: /\nNAME / },
  { command: ['get', 'csr', '--field-selector', 'metadata.name=NAME'], stdout: /^NAME +AGE.*\nNAME .*\n$/ },
  {
    command: ['get', 'csr', '--field-selector', 'spec.username=admin'],
    code: 1,
    stderr: /field label not supported: spec\.username/,
  },
  { command: ['get', 'csr', '--chunk-size=1'], stdout: /\nNAME / },
  { command: ['get', 'csr', 'NAME', '--show-labels'], stdout: /app=NAME/ },
  { command: ['get', 'csr', '--sort-by=.metadata.name'], stdout: /\nNAME / },
  {
    command: ['get', 'csr', 'NAME-missing'],
    code: 1,
    stderr: /certificatesigningrequests\.certificates\.k8s\.io "NAME-missing" not found/,
  },
  {
    command: ['get', '--raw', '/apis/certificates.k8s.io/v1/certificatesigningrequests/NAME'],
    stdout: /"name":"NAME"/,
  },
  {
    command: ['describe', 'csr', 'NAME'],
    stdout: /Requesting User: +admin(.|\n)*Status: +Pending(.|\n)*Common Name: +alice/,
  },
  { command: ['get', 'events'], stdout: /^$/ },
  { command: ['events'], stdout: /^$/, stderr: /No events found/, since: flag(26) },
  { command: ['explain', 'csr'], stdout: /KIND: +CertificateSigningRequest/, since: v2Only },
  { command: ['explain', 'csr.spec.usages'], stdout: /usages/, since: v2Only },
];

const writing: readonly Row[] = [
  { command: ['create', '-f', 'FILE'], before: 'manifest', stdout: /NAME created/, after: /"app":"NAME"/, since: v2 },
  {
    command: ['create', '-f', 'FILE', '--validate=false'],
    before: 'manifest',
    stdout: /NAME created/,
    after: /"app":"NAME"/,
  },
  {
    command: ['create', '-f', 'FILE', '--dry-run=server'],
    before: 'manifest',
    stdout: /NAME created \(server dry run\)/,
    gone: true,
    since: v2Only,
  },
  {
    command: ['create', '-f', 'FILE', '--validate=false'],
    before: 'request',
    code: 1,
    stderr: /AlreadyExists.*"NAME" already exists/,
  },
  { command: ['apply', '-f', 'FILE'], before: 'manifest', stdout: /NAME created/, since: v2 },
  { command: ['apply', '-f', 'FILE'], before: 'applied', stdout: /NAME unchanged/, since: v2 },
  {
    command: ['apply', '-f', 'FILE-changed'],
    before: 'applied',
    stdout: /NAME configured/,
    after: /"changed":"yes"/,
    since: v2,
  },
  {
    command: ['apply', '-f', 'FILE-changed', '--validate=false'],
    before: 'applied',
    stdout: /NAME configured/,
    after: /"changed":"yes"/,
  },
  {
    command: ['apply', '-f', 'FILE-changed', '--dry-run=server'],
    before: 'applied',
    stdout: /NAME configured \(server dry run\)/,
    since: v2,
  },
  {
    command: ['apply', '--server-side', '-f', 'FILE'],
    before: 'manifest',
    stdout: /NAME serverside-applied/,
    after: /"operation":"Apply"/,
    since: v2,
  },
  {
    command: ['apply', '--server-side', '-f', 'FILE', '--validate=false'],
    before: 'manifest',
    stdout: /NAME serverside-applied/,
    after: /"operation":"Apply"/,
  },
  {
    command: ['apply', '--server-side', '-f', 'FILE-changed', '--validate=false', '--field-manager=other'],
    before: 'manifest',
    first: [['apply', '--server-side', '-f', 'FILE', '--validate=false']],
    code: 1,
    stderr: /Apply failed with 1 conflict: conflict with "kubectl".*: \.metadata\.labels\.app/s,
  },
  {
    command: [
      'apply',
      '--server-side',
      '-f',
      'FILE-changed',
      '--validate=false',
      '--field-manager=other',
      '--force-conflicts',
    ],
    before: 'manifest',
    first: [['apply', '--server-side', '-f', 'FILE', '--validate=false']],
    stdout: /NAME serverside-applied/,
    after: /"app":"changed"/,
  },
  {
    command: ['diff', '-f', 'FILE-changed'],
    before: 'applied',
    code: 1,
    stdout: /\+ +changed: "?yes"?/,
    since: v2Only,
  },
  { command: ['diff', '-f', 'FILE'], before: 'applied', stdout: /^$/, since: v2Only },
  {
    command: ['replace', '-f', 'FILE-changed', '--validate=false'],
    before: 'request',
    stdout: /NAME replaced/,
    after: /"changed":"yes"/,
  },
  {
    command: ['edit', 'csr', 'NAME'],
    before: 'request',
    stdout: /NAME edited/,
    after: /"app":"edited"/,
    since: v2Only,
  },
  {
    command: ['patch', 'csr', 'NAME', '--type=merge', '-p', '{"metadata":{"labels":{"a":"merge"}}}'],
    stdout: /NAME patched/,
    after: /"a":"merge"/,
  },
  {
    command: ['patch', 'csr', 'NAME', '--type=strategic', '-p', '{"metadata":{"labels":{"a":"strategic"}}}'],
    stdout: /NAME patched/,
    after: /"a":"strategic"/,
  },
  {
    command: ['patch', 'csr', 'NAME', '--type=json', '-p', '[{"op":"add","path":"/metadata/labels/a","value":"json"}]'],
    stdout: /NAME patched/,
    after: /"a":"json"/,
  },
  { command: ['patch', 'csr', 'NAME', '--type=merge', '-p', '{"metadata":{}}'], stdout: /NAME patched \(no change\)/ },
  {
    command: [
      'patch',
      'csr',
      'NAME',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"conditions":[{"type":"Seen","status":"True"}]}}',
    ],
    stdout: /NAME patched/,
    after: /"type":"Seen"/,
    since: flag(24),
  },
  { command: ['get', 'csr', 'NAME', '--subresource=status', '-o', 'name'], stdout: /NAME/, since: flag(24) },
  { command: ['annotate', 'csr', 'NAME', 'note=yes'], stdout: /NAME annotated?/, after: /"note":"yes"/ },
  { command: ['label', 'csr', 'NAME', 'zone=a'], stdout: /NAME labeled/, after: /"zone":"a"/ },
  { command: ['label', 'csr', 'NAME', 'app-'], stdout: /NAME (labeled|unlabeled)/, after: /^(?!.*"app":"NAME")/ },
  { command: ['label', 'csr', 'NAME', 'app=b'], code: 1, stderr: /--overwrite is false/ },
];

const deciding: readonly Row[] = [
  { command: ['certificate', 'approve', 'NAME'], stdout: /NAME approved/, after: /"reason":"KubectlApprove"/ },
  { command: ['certificate', 'approve', 'NAME'], before: 'approved', stdout: /NAME approved/ },
  {
    command: ['certificate', 'approve', 'NAME', '--force'],
    before: 'approved',
    stdout: /NAME approved/,
  },
  { command: ['certificate', 'approve', '-f', 'FILE'], stdout: /NAME approved/, after: /"type":"Approved"/ },
  { command: ['certificate', 'deny', 'NAME'], stdout: /NAME denied/, after: /"reason":"KubectlDeny"/ },
  { command: ['certificate', 'deny', 'NAME'], before: 'approved', code: 1, stderr: /already approved/i },
  {
    command: ['wait', 'csr', 'NAME', '--for=condition=Approved', '--timeout=10s'],
    before: 'approved',
    stdout: /NAME condition met/,
  },
  {
    command: ['wait', 'csr', 'NAME', '--for=condition=Approved', '--timeout=1s'],
    code: 1,
    stderr: /timed out waiting/,
  },
  {
    command: ['wait', 'csr', 'NAME', '--for=jsonpath={.spec.signerName}=example.com/x', '--timeout=10s'],
    stdout: /NAME condition met/,
    since: flag(23),
  },
  {
    command: ['wait', 'csr', 'NAME-missing', '--for=delete', '--timeout=5s'],
    code: 0,
    since: [24, 'fails where nothing is there'],
  },
];

const deleting: readonly Row[] = [
  { command: ['delete', 'csr', 'NAME'], stdout: /"NAME" deleted/, gone: true },
  { command: ['delete', 'csr', 'NAME', '--wait=false'], stdout: /"NAME" deleted/, gone: true },
  {
    command: ['delete', 'csr', 'NAME', '--dry-run=server'],
    stdout: /"NAME" deleted \(server dry run\)/,
    after: /"NAME"/,
    since: v2Only,
  },
  { command: ['delete', 'csr', 'NAME', '--cascade=orphan'], stdout: /"NAME" deleted/, gone: true },
  { command: ['delete', 'csr', 'NAME', '--cascade=foreground'], stdout: /"NAME" deleted/, gone: true, since: flag(20) },
  { command: ['delete', 'csr', '-l', 'app=NAME'], stdout: /"NAME" deleted/, gone: true },
  { command: ['delete', 'csr', '--field-selector', 'metadata.name=NAME'], stdout: /"NAME" deleted/, gone: true },
  { command: ['delete', '-f', 'FILE'], stdout: /"NAME" deleted/, gone: true },
  { command: ['delete', 'csr', 'NAME-missing'], code: 1, stderr: /"NAME-missing" not found/ },
  { command: ['delete', 'csr', 'NAME-missing', '--ignore-not-found'], code: 0 },
];

const asking: readonly Row[] = [
  { command: ['auth', 'whoami'], stdout: /Username +admin/, since: flag(28) },
  { command: ['auth', 'can-i', 'approve', 'signers.certificates.k8s.io/example.com/x'], stdout: /^yes$/m },
  { command: ['auth', 'can-i', 'create', 'csr'], stdout: /^yes$/m },
  { command: ['auth', 'can-i', 'create', 'csr/approval'], stdout: /^yes$/m, since: [20, ''] },
  { command: ['auth', 'can-i', '--list'], stdout: /\*\.\* +\[\] +\[\] +\[\*\]/ },
];

/** Every command that is driven, by what it is about. */
export const matrix: Readonly<Record<string, readonly Row[]>> = {
  'Look around': reading,
  'Create and change': writing,
  'Decide and wait': deciding,
  Delete: deleting,
  'Ask what one may do': asking,
};
