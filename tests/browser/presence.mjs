// The example axum_presence in a real browser: two windows list each other, a reload makes no change in the other window, and
// a window that is closed is removed after the grace. The server must have no other clients meanwhile.
//
//   cargo run --example axum_presence --features full -- 127.0.0.1:7073
//   cd tests/browser && npm ci && node presence.mjs http://127.0.0.1:7073 [folder for screenshots]
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { mistakes, ok, parameters, run, until } from './browser.mjs';

/** The default `reconnect_grace`, in ms. */
const GRACE = 5_000;

const { address, folder } = parameters();
await run(folder, { viewport: { width: 700, height: 500 } }, async (browser) => {
  const [ann, bob] = [browser.pages()[0], await browser.newPage()];
  await joinAs(ann, 'Ann');
  await until('the first window lists itself', async () => (await names(ann)) === 'Ann');
  await joinAs(bob, 'Bob');
  await until('the first window lists the second', async () => (await names(ann)) === 'Ann, Bob');
  await until('the second window lists both', async () => (await names(bob)) === 'Ann, Bob');
  await ann.screenshot({ path: join(folder, 'presence-two.png') });

  // Each list that the first window shows from now on.
  await ann.evaluate(() => {
    const list = document.querySelector('ul');
    window.shown = [];
    new MutationObserver(() => window.shown.push(list.children.length)).observe(list, { childList: true });
  });
  const sessions = await readers();
  await bob.reload();
  await until('the second window is back after a reload', async () => (await names(bob)) === 'Ann, Bob');
  await until('the session before the reload has ended', async () => (await readers()).join() !== sessions.join() && (await readers()).length === 2);
  await pause(GRACE + 1_500);
  ok((await shown(ann)).length === 0, 'the first window saw no change', (await shown(ann)).join());

  const twin = await browser.newPage();
  await joinAs(twin, 'bob');
  await until('a second window of a name lists it once', async () => (await names(twin)) === 'Ann, bob');
  await until('with the name that it was given last', async () => (await names(ann)) === 'Ann, bob');
  await bob.close();
  await pause(GRACE + 1_500);
  ok((await names(ann)) === 'Ann, bob', 'the name stays while one of its windows is open', await names(ann));

  const closed = performance.now();
  await twin.close();
  await until('the window that was closed is removed', async () => (await names(ann)) === 'Ann');
  const after = performance.now() - closed;
  ok(after > GRACE - 100, 'after the grace', `${after} ms`);
  await ann.emulateMedia({ colorScheme: 'dark' });
  await ann.screenshot({ path: join(folder, 'presence-alone.png') });

  const late = await browser.newPage();
  await joinAs(late, 'Cid');
  await until('a window that comes later lists those who are there', async () => (await names(late)) === 'Ann, Cid');
  await late.screenshot({ path: join(folder, 'presence-late.png') });
  ok(mistakes.length === 0, 'no script failed', mistakes.join('; '));
});

async function joinAs(page, name) {
  await page.goto(address);
  await page.fill('input', name);
  await page.click('button');
}

function names(page) {
  return page.evaluate(() => [...document.querySelectorAll('li')].map((item) => item.textContent).join(', '));
}

function shown(page) {
  return page.evaluate(() => window.shown);
}

/** Returns the ids of the sessions that follow the list. */
async function readers() {
  const lines = (await (await fetch(`${address}/readers`)).text()).split('\n').filter(Boolean);
  return lines.map((line) => line.split(' ')[0]);
}
