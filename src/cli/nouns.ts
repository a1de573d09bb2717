import type { Command } from 'commander';

import { attestationNoun } from './attestation.js';
import { authorityNoun } from './authority.js';
import { bundleNoun } from './bundle.js';
import { certNoun } from './cert.js';
import { consumerNoun } from './consumer.js';
import { etcdNoun } from './etcd.js';
import type { Io } from './io.js';
import { keysetNoun } from './keyset.js';
import { kubernetesNoun } from './kubernetes/index.js';
import { nodeNoun } from './node.js';
import { renewalNoun } from './renewal.js';
import { requestNoun } from './request.js';
import { ringNoun } from './ring.js';
import { rotationNoun } from './rotation/index.js';
import { serveNoun } from './serve.js';
import { simulateNoun } from './simulate.js';
import { tokenNoun } from './token.js';
import { versionNoun } from './version.js';
import { whoamiNoun } from './whoami.js';

/** Adding a noun is adding a file and a line here. */
export const nouns: readonly ((program: Command, io: Io) => void)[] = [
  serveNoun,
  ringNoun,
  authorityNoun,
  bundleNoun,
  rotationNoun,
  consumerNoun,
  attestationNoun,
  requestNoun,
  certNoun,
  renewalNoun,
  tokenNoun,
  nodeNoun,
  etcdNoun,
  keysetNoun,
  kubernetesNoun,
  simulateNoun,
  whoamiNoun,
  versionNoun,
];
