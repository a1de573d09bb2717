import { describeWithPeer, requirePeer } from '../support/peers.js';
import { driveMatrix } from './kubectl/suite.js';

describeWithPeer('kubectl', 'the kubectl of this machine', () => {
  driveMatrix(() => requirePeer('kubectl'));
});
describeWithPeer('kubectlDebian', 'the kubectl of Debian', () => {
  driveMatrix(() => requirePeer('kubectlDebian'));
});
