import { describeFuzz } from '../support/fuzz-suite.js';

describeFuzz({ runs: Number(process.env['ROTUNDA_FUZZ_RUNS'] ?? 800), connections: 60, patient: true });
