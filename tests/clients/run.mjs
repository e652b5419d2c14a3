// Clients of other projects at the crate's server: the requests that they make after the end of a stream, and what is kept of
// a greeting whose connection is cut before the first event.
//
//   ./check clients
//   node run.mjs ADDRESS TARGET [--only TEXT] [--scenarios NAME,NAME] [--write]
//
// ADDRESS is that of `server.rs`, TARGET the folder that `setup` filled. Prints tables, and writes them with all that was seen
// to TARGET/clients.json; with --write also to docs/clients.md. Exits with 1 if a client makes more requests than its goal,
// misses an event after a cut greeting, or does not start.
//
// | scenario | the server | the client |
// |---|---|---|
// | end | publishes two events and ends the topic | as its documentation shows |
// | stop | the same | with the check of docs/clients.md |
// | late | has ended the topic, and the client comes with the position of its end | as its documentation shows |
// | stop-late | the same | with the check of docs/clients.md |
// | end-off | as `end`, for `?controls=off` | as its documentation shows |
// | greet | cuts the connection after the greeting | as its documentation shows |
// | greet-off | the same, for `?controls=off` | as its documentation shows |

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CLIENTS } from './run/clients.mjs';
import { Hosts } from './run/hosts.mjs';
import { Log } from './run/log.mjs';
import { replaceTables, tables } from './run/tables.mjs';
import { versions } from './run/versions.mjs';

/** Time after the end of a topic in which requests are counted, in ms. */
const WINDOW = 60_000;
/** Time after a cut in which a client may return, in ms: above the longest default pause. */
const RETURN = 40_000;
/** How long clients may take to start, in ms: a busy machine is no reason to fail. */
const PATIENCE = 240_000;

const { values, positionals: [address, target] } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: '' },
    scenarios: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
if (!target) {
  console.error('usage: node run.mjs ADDRESS TARGET [--only TEXT] [--scenarios NAME,NAME] [--write]');
  process.exit(2);
}
const wanted = CLIENTS.filter(({ name }) => name.toLowerCase().includes(values.only.toLowerCase()))
  .map((client) => ({
    ...client,
    scenarios: client.scenarios.filter((scenario) => !values.scenarios || values.scenarios.split(',').includes(scenario)),
  }));

await mkdir(join(target, 'logs'), { recursive: true });
const hosts = new Hosts(address, target);
const log = new Log(address);
try {
  const skipped = await hosts.start(wanted);
  for (const { host, why } of skipped) console.log(`skipped: ${host}: ${why}`);
  const clients = wanted.filter(({ host }) => !skipped.some((one) => one.host === host));
  await finished(clients);
  const results = clients.map((client) => ({
    ...client,
    results: Object.fromEntries(client.scenarios.map((scenario) => [scenario, log.result(scenario, client.id, WINDOW)])),
  }));
  const report = { date: new Date().toISOString(), versions: await versions(target, hosts), results };
  await writeFile(join(target, 'clients.json'), `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(join(target, 'log.json'), JSON.stringify(log.entries));
  const found = tables(report);
  for (const [name, table] of Object.entries(found)) console.log(`${name}\n\n${table}\n`);
  if (values.write) await write(found);
  const mistakes = missed(results);
  mistakes.forEach((mistake) => console.error(`not ok - ${mistake}`));
  const rows = results.reduce((sum, { scenarios }) => sum + scenarios.length, 0);
  console.log(`${rows - mistakes.length} passed, ${mistakes.length} failed`);
  process.exitCode = mistakes.length ? 1 : 0;
} finally {
  await hosts.stop();
}

/** Waits until the time of every topic has passed. */
async function finished(clients) {
  const started = Date.now();
  const topics = clients.flatMap(({ id, scenarios }) => scenarios.map((scenario) => [scenario, id]));
  for (let told = ''; ; await pause(1000)) {
    await log.load();
    const waiting = topics.filter(([scenario, id]) => {
      const since = log.since(scenario, id);
      return since === null ? Date.now() - started < PATIENCE : since < (scenario.startsWith('greet') ? RETURN : WINDOW) + 1000;
    });
    if (waiting.length === 0) return;
    const unstarted = waiting.filter(([scenario, id]) => log.since(scenario, id) === null);
    const line = `not started: ${unstarted.map((topic) => topic.join('/')).join(', ') || 'none'}`;
    if (line !== told && unstarted.length < 10) console.error(told = line);
  }
}

/** Returns what missed its goal. */
function missed(results) {
  return results.flatMap(({ name, goals, returns, results }) =>
    Object.entries(results).flatMap(([scenario, result]) => {
      if (!result.started) return [`${name}, ${scenario}: did not start`];
      if (result.after > goals[scenario]) {
        return [`${name}, ${scenario}: ${result.after} requests after the end, not at most ${goals[scenario]}`];
      }
      if (scenario === 'greet' && returns) {
        const times = (text) => result.seen.filter((seen) => seen.includes(text)).length;
        if (!result.kept) return [`${name}, ${scenario}: returns with ${result.id}, not with the id of the greeting`];
        if (times('while it was away') !== 1 || times('after the return') !== 1) {
          return [`${name}, ${scenario}: sees ${JSON.stringify(result.seen)}`];
        }
      }
      return [];
    }));
}

/** Writes the tables to docs/clients.md. */
async function write(tables) {
  const file = join(import.meta.dirname, '../../docs/clients.md');
  await writeFile(file, replaceTables(await readFile(file, 'utf8'), tables));
}
