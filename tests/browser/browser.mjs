// The tools that the browser tests share: a real Chromium with a profile of its own, checks that are counted, and waiting.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

/** How long a thing that must come true may take, in ms: a busy machine is no reason to fail. */
export const PATIENCE = 60_000;
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

let passed = 0;

/** Errors of the scripts of all pages. */
export const mistakes = [];

/** Returns the address of the server and the folder for screenshots. Exits with 2 if there is no address. */
export function parameters() {
  const [address, folder = 'screenshots'] = process.argv.slice(2);
  if (!address) {
    console.error(`usage: node ${basename(process.argv[1])} URL [folder for screenshots]`);
    process.exit(2);
  }
  return { address, folder };
}

/**
 * Runs a test in a browser, /usr/bin/chromium or the path in CHROMIUM, with further options of Playwright. Prints the result
 * and exits: with 1 at the first check that fails, after a screenshot if there is a folder for it.
 */
export async function run(folder, options, test) {
  const profile = await mkdtemp(join(tmpdir(), 'browser-'));
  if (folder) await mkdir(folder, { recursive: true });
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
    colorScheme: 'light',
    ...options,
  });
  const watch = (page) => page.on('pageerror', (error) => mistakes.push(String(error)));
  browser.on('page', watch);
  browser.pages().forEach(watch);
  let failure = null;
  try {
    await test(browser);
  } catch (error) {
    failure = error;
    console.error(`not ok - ${error.stack}`);
    const name = `${basename(process.argv[1], '.mjs')}-failure.png`;
    if (folder) await browser.pages()[0]?.screenshot({ path: join(folder, name) }).catch(() => {});
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  }
  console.log(`${passed} passed, ${failure ? 1 : 0} failed`);
  process.exit(failure ? 1 : 0);
}

/** Takes screenshots of a page at the widths of a desktop and a phone, light and dark. Checks that nothing is wider than the page. */
export async function pictures(page, folder, name) {
  const before = page.viewportSize();
  for (const [width, height] of [[1280, 720], [390, 844]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`) });
    }
    const widest = await page.evaluate(() => document.documentElement.scrollWidth);
    ok(widest <= width, `${name}: nothing is wider than ${width} px`, `${widest} px`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(before);
}

/** Waits until `holds()`, and counts a check. */
export async function until(what, holds) {
  for (const deadline = Date.now() + PATIENCE; !(await holds()); await pause(20)) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${PATIENCE} ms`);
  }
  ok(true, what);
}

/** Counts a check. */
export function ok(holds, what, detail = '') {
  if (!holds) throw new Error(`${what}: ${detail}`);
  passed++;
  console.log(`ok - ${what}`);
}
