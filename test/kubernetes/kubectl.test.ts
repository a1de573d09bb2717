import { driveMatrix } from '../e2e/kubectl/suite.js';
import { describeWithKubernetes, kubernetesProgram } from '../support/kubernetes/binaries.js';

describeWithKubernetes(['kubectl'], 'the kubectl of the pinned release', () => {
  driveMatrix(() => kubernetesProgram('kubectl'));
});
