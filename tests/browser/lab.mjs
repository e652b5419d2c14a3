// The lab in a real browser: uses its controls, and checks the panels after each.
//
//   cargo run --release --example lab --features full -- --port 7070
//   cd tests/browser && npm ci && node lab.mjs http://127.0.0.1:7070/ [folder for screenshots]
//
// A lab with its history on disk (`--features full,disk`) has other controls, and its process is restarted instead.
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails. Reads
// `window.lab`, see main.js of the page.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PATIENCE, mistakes, ok, parameters, run } from './browser.mjs';

const TRANSPORTS = ['short-poll', 'long-poll', 'chunked', 'sse', 'websocket'];

const { address, folder } = parameters();
await run(folder, { viewport: { width: 1440, height: 900 } }, test);

async function test(browser) {
  const page = browser.pages()[0];
  await page.goto(address);
  await opened(page);
  await until(page, 'every panel receives', PATIENCE, (panels) => panels.every(({ events }) => events > 0));
  if (await page.evaluate(() => window.lab.disk)) return restarts(browser, page);
  await page.click('#process');
  await page.locator('#status', { hasText: '--features full,disk' }).waitFor({ timeout: PATIENCE });
  ok(await page.isHidden('#kill'), 'a lab in memory tells how to run it on disk');
  await until(page, 'every panel has a delay and the server counts its bytes', PATIENCE, (panels) =>
    panels.every(({ delay, server }) => delay && server.requests && server.connections && server.up && server.down));
  await page.screenshot({ path: join(folder, 'laptop-light.png') });

  for (const transport of [...TRANSPORTS.slice(1), TRANSPORTS[0]]) {
    const { events, cursor } = (await panels(page))[0];
    await page.selectOption('.panel:nth-child(1) select', transport);
    await until(page, `panel A goes on over ${transport}`, PATIENCE, ([a]) =>
      a.state === 'open' && a.events > events + 20 && a.cursor !== cursor);
  }
  await checkComplete(page, 'five moves');

  await page.click('#cut');
  await until(page, 'a cut shows missing events in the ribbons', PATIENCE, (panels) => panels.some(({ ribbon }) => ribbon.missing > 0));
  await page.screenshot({ path: join(folder, 'cut.png') });
  await until(page, 'replay fills them', PATIENCE, (panels) =>
    panels.every(({ state, ribbon }) => state === 'open' && ribbon.missing === 0)
    && panels.some(({ ribbon }) => ribbon.filled > 0));
  await checkComplete(page, 'a cut');
  await page.screenshot({ path: join(folder, 'healed.png') });

  await page.click('.panel:nth-child(3) .pause');
  await until(page, 'a pause stops one panel only', PATIENCE, (panels) =>
    panels[2].state === 'paused' && panels[2].ribbon.missing > 10 && panels[3].ribbon.missing === 0);
  await until(page, 'and it catches up afterwards', PATIENCE, (panels) =>
    panels[2].state === 'open' && panels[2].ribbon.missing === 0 && panels[2].ribbon.filled > 50);
  await checkComplete(page, 'a pause');

  await hide(page, true);
  await until(page, 'a hidden tab disconnects', PATIENCE, (panels) => panels.every(({ state }) => state === 'hidden'));
  await pause(1000);
  await hide(page, false);
  await until(page, 'and resumes', PATIENCE, (panels) =>
    panels.every(({ state, ribbon }) => state === 'open' && ribbon.missing === 0));
  await checkComplete(page, 'hiding');

  await say(page, 'To all five panels.');
  await heard(page, 'To all five panels.', 'a chat message reaches every panel');
  await page.check('[name=via][value=post]');
  await say(page, 'Sent by POST.');
  await heard(page, 'Sent by POST.', 'a POST reaches every panel');
  await point(page);

  await setCells(page);
  await changeTopics(page);
  const other = await browser.newPage();
  await other.goto(await page.getAttribute('#twin', 'href'));
  await opened(other);
  await until(other, 'another window opens', PATIENCE, (panels) => panels.every(({ events }) => events > 0));
  await until(other, 'another window gets the present cells', PATIENCE, (panels) => panels.every(holds('3', '20', '40')));
  await say(other, 'From another window.');
  await other.close();
  await page.bringToFront();
  await heard(page, 'From another window.', 'a message of another window reaches every panel');

  await page.click('#end');
  await until(page, 'every transport receives the end of the topics', PATIENCE, (panels) =>
    panels.every(({ state, over }) => state === 'over' && ['load', 'host', 'board', 'cells'].every((topic) => over[topic] === 'done')));
  await page.screenshot({ path: join(folder, 'ended.png') });
  // The counters of the server are up to a second old.
  await pause(2500);
  const ended = await panels(page);
  await pause(3000);
  const later = await panels(page);
  ok(later.every(({ state, server }, i) => state === 'over' && server.requests === ended[i].server.requests),
    'and no panel returns', JSON.stringify([ended, later]));
  await checkComplete(page, 'the end of the topics');
  for (const transport of [...TRANSPORTS.slice(1), TRANSPORTS[0]]) {
    await page.selectOption('.panel:nth-child(1) select', transport);
    await until(page, `panel A receives the end over ${transport}`, PATIENCE, ([a]) => a.state === 'over' && a.transport === transport);
  }

  await page.click('#restart');
  await until(page, 'a new hub begins the topics again', PATIENCE, (panels) =>
    panels.every(({ state, over }) => state === 'open' && Object.keys(over).length === 0));
  await until(page, 'a new hub sends an epoch gap', PATIENCE, (panels) =>
    panels.every(({ state, gaps }) => state === 'open' && gaps.some(({ reason }) => reason === 'epoch')));
  await until(page, 'without cells', PATIENCE, (panels) => panels.every(holds()));
  const after = await panels(page);
  await until(page, 'and all panels go on in the new epoch', PATIENCE, (panels) =>
    panels.every(({ events, cursor }, i) => events > after[i].events + 10 && epoch(cursor) === epoch(panels[0].cursor)));
  const silent = (await panels(page)).filter(({ missed, told }) => missed > told);
  ok(silent.length === 0, 'a gap announced the events of the old hub', JSON.stringify(silent));

  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(folder, 'full-light.png'), fullPage: true });
  await page.emulateMedia({ colorScheme: 'dark' });
  await pause(800);
  await page.screenshot({ path: join(folder, 'laptop-dark.png') });
  await page.setViewportSize({ width: 390, height: 844 });
  await pause(800);
  await page.screenshot({ path: join(folder, 'phone-dark.png') });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  ok(width <= 390, 'nothing is wider than a phone', `${width} px`);
  ok(mistakes.length === 0, 'no script failed', mistakes.join('; '));
}

/** Ends the process of the server in several ways. Every panel continues in the next one, and nothing is lost or repeated. */
async function restarts(browser, page) {
  for (const cell of [3, 20]) await page.click(`#cells button:nth-child(${cell + 1})`);
  await until(page, 'every panel holds the cells', PATIENCE, (panels) => panels.every(holds('3', '20')));
  const outside = async () => {
    const [{ to }] = await page.evaluate(() => window.lab.restarts);
    process.kill(to, 'SIGKILL');
  };
  const ways = [
    ['kill -9', () => page.click('#kill')],
    ['restart', () => page.click('#process')],
    ['from outside', outside],
    ['kill -9', () => page.click('#kill')],
    ['restart', () => page.click('#process')],
  ];
  for (const [i, [how, end]] of ways.entries()) {
    const before = await panels(page);
    await end();
    await until(page, `every panel continues after restart ${i + 1}: ${how}`, PATIENCE, (panels) =>
      panels.every(({ state, events, cursor }, i) =>
        state === 'open' && events > before[i].events + 50 && epoch(cursor) !== epoch(before[i].cursor)));
    // The page reads the process id once a second.
    for (const deadline = Date.now() + PATIENCE; ; await pause(50)) {
      const [last, ...earlier] = await page.evaluate(() => window.lab.restarts);
      if (earlier.length < i) {
        if (Date.now() > deadline) throw new Error(`restart ${i + 1} is not listed`);
        continue;
      }
      ok(last.how === how && last.from !== last.to, `it is listed: ${how}, process ${last.from}, then ${last.to}`, JSON.stringify(last));
      break;
    }
    // The page counts until its next look at the process id.
    await pause(1500);
  }
  await until(page, 'every panel holds the cells of before', PATIENCE, (panels) => panels.every(holds('3', '20')));
  await pause(1500);
  const all = await page.evaluate(() => window.lab.restarts);
  const bad = all.flatMap(({ panels }) => panels).filter(({ events, lost, doubled, gaps }) => !events || lost || doubled || gaps);
  ok(all.length === ways.length && bad.length === 0, 'no panel lost an event, got one twice or got a gap over a restart', JSON.stringify(bad));
  await checkComplete(page, 'all restarts');
  ok((await panels(page)).every(({ gaps }) => !gaps.length), 'no panel got a gap');
  const shown = await page.locator('#restarts tbody tr').allInnerTexts();
  ok(shown.length === ways.length && shown.every((row) => /\b5 of 5\s.*\s0\s0\s0$/s.test(row)), 'the page shows it', shown.join('\n'));
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(folder, 'restarts.png') });

  const other = await browser.newPage();
  await other.goto(await page.getAttribute('#twin', 'href'));
  await opened(other);
  await until(other, 'a new window gets the cells of before the restarts', PATIENCE, (panels) => panels.every(holds('3', '20')));
  await other.close();
  ok(mistakes.length === 0, 'no script failed', mistakes.join('; '));
}

function epoch(cursor) {
  return cursor.split('.')[0];
}

function panels(page) {
  return page.evaluate(() => window.lab.panels);
}

async function opened(page) {
  for (const deadline = Date.now() + PATIENCE; !(await page.evaluate(() => Boolean(window.lab))); await pause(50)) {
    if (Date.now() > deadline) throw new Error(`the page does not start: ${mistakes.join('; ') || 'no error reported'}`);
  }
}

/** Waits until `holds(panels)`. Evaluated here, since the page's content security policy forbids Playwright's own waits. */
async function until(page, what, timeout, holds) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const state = await panels(page);
    if (holds(state)) return ok(true, what);
    if (Date.now() > deadline) {
      const lines = state.map((panel) => JSON.stringify({ ...panel, gaps: panel.gaps.map(({ reason }) => reason) }));
      throw new Error(`${what}: not within ${timeout} ms\n${lines.join('\n')}`);
    }
    await pause(20);
  }
}

/** Checks that no event is missing or repeated. */
async function checkComplete(page, after) {
  const bad = (await panels(page)).filter(({ missed, duplicates }) => missed || duplicates);
  ok(bad.length === 0, `no event missing or repeated after ${after}`, JSON.stringify(bad));
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

async function heard(page, text, what) {
  await until(page, what, PATIENCE, (panels) => panels.every(({ heard }) => heard.includes(text)));
  await page.locator('#chat li', { hasText: text }).getByLabel('in 5 of 5 panels').waitFor({ timeout: PATIENCE });
}

/** Overrides `document.hidden`, since headless tabs are never hidden. */
async function hide(page, hidden) {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

/** Sets four cells and removes one. One panel is away meanwhile. */
async function setCells(page) {
  await page.click('.panel:nth-child(3) .pause');
  for (const cell of [3, 7, 20, 40]) await page.click(`#cells button:nth-child(${cell + 1})`);
  await until(page, 'a set cell reaches the connected panels', PATIENCE, (panels) =>
    panels.every((panel, i) => i === 2 || holds('3', '7', '20', '40')(panel)));
  await page.click('#cells button:nth-child(8)');
  await until(page, 'every panel holds the cells that are left', PATIENCE, (panels) => panels.every(holds('3', '20', '40')));
  await page.locator('#cells').screenshot({ path: join(folder, 'cells.png') });
}

/** Leaves two topics and follows them again. The WebSocket keeps its connection. */
async function changeTopics(page) {
  await until(page, 'all panels are open', PATIENCE, (panels) => panels.every(({ state }) => state === 'open'));
  const websocket = ({ transport }) => transport === 'websocket';
  const before = (await panels(page)).find(websocket).server.requests;
  for (const topic of ['host', 'cells']) await page.uncheck(`#topics [value=${topic}]`);
  await until(page, 'every panel leaves two topics', PATIENCE, (panels) =>
    panels.every(({ topics, state, cells }) => state === 'open' && topics.join() === 'load,board' && !cells.length));
  for (const topic of ['host', 'cells']) await page.check(`#topics [value=${topic}]`);
  await until(page, 'every panel follows them again, with the state', PATIENCE, (panels) =>
    panels.every((panel) => panel.topics.length === 4 && holds('3', '20', '40')(panel)));
  await pause(1500);
  const after = (await panels(page)).find(websocket).server.requests;
  ok(before === after, 'the WebSocket changed its topics without a request', `${before}, ${after}`);
}

/** Returns whether a panel holds exactly these cells. */
function holds(...cells) {
  return (panel) => panel.cells.length === cells.length && cells.every((cell) => panel.cells.includes(cell));
}

async function point(page) {
  const field = page.locator('#field');
  await field.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await field.boundingBox();
  for (let i = 0; i < 40; i++) {
    await page.mouse.move(x + width * (0.3 + 0.01 * i), y + height * (0.5 + 0.3 * Math.sin(i / 7)));
    await pause(25);
  }
  await page.screenshot({ path: join(folder, 'board.png') });
}
