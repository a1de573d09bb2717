import { describeFuzz } from '../../support/fuzz-suite.js';

describeFuzz({ runs: 60, connections: 6, patient: false });
