// The example axum_dashboard_htmx in a real browser: htmx replaces each tile, and connects again after a break. The server must
// have no other clients meanwhile.
//
//   cargo run --example axum_dashboard_htmx --features full -- 127.0.0.1:7076
//   cd tests/browser && npm ci && node dashboard.mjs http://127.0.0.1:7076 [folder for screenshots]
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails.

import { mistakes, ok, parameters, pictures, run, until } from './browser.mjs';

const TILES = ['requests', 'latency', 'memory', 'viewers'];

const { address, folder } = parameters();
await run(folder, { viewport: { width: 1280, height: 720 } }, async (browser) => {
  const page = browser.pages()[0];
  await page.goto(address);
  await until('each tile has a value', async () => (await values(page)).every((value) => /^\d+$/.test(value)));
  const scripts = await page.$$eval('script', (all) => all.map((script) => new URL(script.src).pathname));
  ok(scripts.join() === '/vendor/htmx.min.js,/vendor/hx-sse.min.js', 'all scripts are those of htmx', scripts.join());
  const before = await lines(page);
  await until('the lines grow', async () => (await lines(page)).every((line, i) => line > before[i] + 1 || line === 30));
  const ids = await page.$$eval('main > *', (all) => all.map(({ id }) => id));
  ok(ids.join() === TILES.join(), 'tiles are replaced in their place', ids.join());
  await until('the number of viewers is one', async () => (await viewers(page)) === '1');

  const other = await browser.newPage();
  await other.goto(address);
  await until('a second window has the values', async () => (await values(other)).every((value) => /^\d+$/.test(value)));
  await until('and is counted in both', async () => (await viewers(page)) === '2' && (await viewers(other)) === '2');
  await other.close();
  await until('a closed window is not counted', async () => (await viewers(page)) === '1');
  await pictures(page, folder, 'dashboard');

  // A proxy ends each stream at once: the tiles fade, and return when it does so no longer.
  await page.route('**/events', (route) => route.fulfill({ contentType: 'text/event-stream', body: ': nothing\n\n' }));
  await page.reload();
  await until('tiles without a value fade', async () => (await opacity(page)) === '0.35');
  await page.unroute('**/events');
  await until('a new connection has the values', async () => (await values(page)).every((value) => /^\d+$/.test(value)));
  ok((await opacity(page)) === '1', 'and the tiles return', await opacity(page));
  ok(mistakes.length === 0, 'no script failed', mistakes.join('; '));
});

/** Returns the value of each tile, an empty text if there is none yet. */
function values(page) {
  return page.evaluate((tiles) => tiles.map((id) => document.querySelector(`#${id} b`)?.textContent ?? ''), TILES);
}

async function viewers(page) {
  return (await values(page)).at(-1);
}

/** Returns the number of points of the line of each tile. */
function lines(page) {
  return page.$$eval('polyline', (all) => all.map(({ points }) => points.numberOfItems));
}

function opacity(page) {
  return page.evaluate(() => getComputedStyle(document.querySelector('#requests')).opacity);
}
