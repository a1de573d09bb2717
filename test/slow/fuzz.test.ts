import { describeFuzz } from '../support/fuzz-suite.js';

describeFuzz({ runs: Number(process.env['ROTUNDA_FUZZ_RUNS'] ?? 3000), connections: 60, patient: true });
