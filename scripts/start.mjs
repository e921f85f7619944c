// `npm start`: builds and runs the clinical dashboard. Arguments after `npm start --` are passed to
// the server.
//
// npm forwards signals to the shell in which it runs a script, and not every shell forwards them.
// `exec` in `package.json` therefore replaces the shell by this script. On Windows, which has no
// `exec`, run `node scripts/start.mjs`.
import { installNodePackages, must, run } from './run.mjs';

// The profile builds in a fraction of the time of a release build.
const EXAMPLE = ['--profile', 'example', '--example', 'clinical_dashboard'];

try {
  // The page loads the browser's SignalR client from the node packages.
  await installNodePackages({ dev: false });
  await must('cargo', ['build', ...EXAMPLE]);
  const args = ['run', '--quiet', ...EXAMPLE, '--', ...process.argv.slice(2)];
  const { code, signal } = await run('cargo', args, { show: true });
  // A server that is stopped before it handles signals is no failure.
  process.exitCode = signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : code;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
