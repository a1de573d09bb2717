import { describeInformers } from '../support/informer-churn.js';

describeInformers(Number(process.env['ROTUNDA_KILLS'] ?? 6));
