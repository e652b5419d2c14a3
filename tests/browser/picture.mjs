// Takes the picture of the lab for the README: two people, cut connections, set cells, and a panel that is away.
//
//   cargo run --release --example lab --features full -- --port 7070
//   cd tests/browser && npm ci && node picture.mjs http://127.0.0.1:7070/ ../../docs
//
// Run it on a quiet machine, since the picture shows delays.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parameters, run } from './browser.mjs';

const { address, folder } = parameters();
await run(folder, { viewport: { width: 1440, height: 900 } }, take);

async function take(browser) {
  const ada = browser.pages()[0];
  await ada.goto(address);
  const grace = await browser.newPage();
  await grace.goto(address.replace('127.0.0.1', 'localhost'));
  await pause(3000);
  await ada.fill('#who', 'Ada');
  await grace.fill('#who', 'Grace');
  await pause(25_000);
  await say(ada, 'I cut my connections. Watch the ribbons.');
  await ada.click('#cut');
  await pause(4000);
  await say(grace, 'Red, and then green?');
  await say(ada, 'Green is what came by replay.');
  await set(ada, [18, 19, 20, 34, 36, 50, 51, 52]);
  await say(grace, 'A new window gets the cells at once.');
  await set(grace, [23, 24, 25, 40, 56]);
  await say(ada, 'Nothing missed, nothing twice.');
  await pause(15_000);
  // The panel is away for 10 s, and the rings of a pointer fade sooner.
  await ada.click('.panel:nth-child(3) .pause');
  await pause(1000);
  await set(ada, [28, 29, 44]);
  await point(grace, 0.4, 0.4);
  await point(ada, 0.72, 0.5);
  await ada.bringToFront();
  await ada.evaluate(() => scrollTo(0, 0));
  await pause(300);
  await ada.screenshot({ path: join(folder, 'lab.png'), fullPage: true });
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
  await pause(1500);
}

async function set(page, cells) {
  for (const cell of cells) {
    await page.click(`#cells button:nth-child(${cell + 1})`);
    await pause(120);
  }
}

/** Moves the pointer to a share of the field's width and height. */
async function point(page, x, y) {
  const field = page.locator('#field');
  await field.scrollIntoViewIfNeeded();
  const box = await field.boundingBox();
  for (let i = 0; i < 12; i++) {
    await page.mouse.move(box.x + box.width * (x + 0.004 * i), box.y + box.height * y);
    await pause(30);
  }
}
