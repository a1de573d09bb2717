import { runCli } from './cli/main.js';

// `npm start` serves: what follows `--` are the flags of `rotunda serve`.
process.exitCode = await runCli(['serve', ...process.argv.slice(2)]);
