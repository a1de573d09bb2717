import { describeInformers } from '../support/informer-churn.js';

describeInformers(1);
