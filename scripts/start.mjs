// `npm start`: builds and runs the clinical dashboard. What follows `npm start --` goes to the server.
import { installNodePackages, must, run } from './run.mjs';

const EXAMPLE = ['--release', '--example', 'clinical_dashboard'];

try {
  // The page takes the browser's SignalR client from the installed node packages.
  await installNodePackages();
  await must('cargo', ['build', ...EXAMPLE]);
  // Ctrl+C reaches the server too, and ends it; this process then ends with it.
  process.on('SIGINT', () => {});
  const { code, signal } = await run('cargo', ['run', '--quiet', ...EXAMPLE, '--', ...process.argv.slice(2)], {
    show: true,
  });
  process.exitCode = signal === 'SIGINT' ? 0 : code;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
