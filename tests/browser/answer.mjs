// The example axum_ai_answer in a real browser: an answer that is reloaded in the middle, followed from a second tab and
// stopped. No token is lost or doubled, and the model is asked once. The server need not be fresh, but must have no other
// clients meanwhile.
//
//   cargo run --example axum_ai_answer --features full -- 127.0.0.1:7072
//   cd tests/browser && npm ci && node answer.mjs http://127.0.0.1:7072 [folder for screenshots]
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails.

import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { mistakes, ok, parameters, run, until } from './browser.mjs';

const { address, folder } = parameters();
await run(folder, { viewport: { width: 900, height: 700 } }, test);

async function test(browser) {
  const page = browser.pages()[0];
  const requests = [];
  page.on('request', (request) => requests.push(`${request.method()} ${new URL(request.url()).search}`));
  await page.goto(address);
  const earlier = await asked(page);
  await page.fill('input', 'Is it on?');
  await page.click('form button');
  await until('tokens appear', async () => (await text(page)).length > 60);
  const id = new URL(page.url()).hash.slice(1);
  await page.screenshot({ path: join(folder, 'answer-tokens.png') });

  const before = await text(page);
  requests.length = 0;
  await page.reload();
  await until('the answer goes on after a reload in the middle of it', async () => (await text(page)).length > before.length + 60);
  ok((await text(page)).startsWith(before), 'the text from before the reload is kept', await text(page));
  ok(requests.some((request) => /^GET \?cursor=\w+\.\w+$/.test(request)), 'the reload resumes at its cursor', requests.join());
  ok(!requests.some((request) => request.startsWith('POST')), 'the reload does not ask again', requests.join());

  const twin = await browser.newPage();
  await twin.goto(await page.evaluate(() => location.href));
  await until('a second tab follows from the first token', async () => (await text(twin)).length > before.length);
  ok((await text(twin)).startsWith(before), 'the second tab has the beginning', await text(twin));
  await page.reload();

  await until('the answer ends in the first tab', async () => (await state(page)) === 'done');
  await until('the answer ends in the second tab', async () => (await state(twin)) === 'done');
  const tokens = await answer(page, id);
  ok(tokens.length > 150, 'the answer has its tokens', String(tokens.length));
  ok((await text(page)) === tokens.join(''), 'no token lost or doubled after two reloads', await text(page));
  ok((await text(twin)) === tokens.join(''), 'no token lost or doubled in the second tab', await text(twin));
  ok((await asked(page)) === earlier + 1, 'the model was asked once', `${await asked(page)}, ${earlier} before`);
  ok((await page.inputValue('input')) === 'Is it on?', 'the field has the question of the answer');
  ok((await twin.inputValue('input')) === '', 'the field of the second tab is empty');
  await page.screenshot({ path: join(folder, 'answer-done.png') });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: join(folder, 'answer-dark.png') });
  await page.emulateMedia({ colorScheme: 'light' });

  requests.length = 0;
  await page.reload();
  await until('the ended answer is there after a reload', async () => (await text(page)) === tokens.join(''));
  ok(requests.length === 1, 'an answer with its end is not asked for again', requests.join());
  await pause(1_500);
  ok(requests.length === 1, 'and no EventSource comes back', requests.join());

  const again = await page.evaluate(async (id) => {
    const response = await fetch(`/runs/${id}`, { method: 'POST', body: 'a repeated question' });
    return { status: response.status, body: await response.text() };
  }, id);
  ok(again.status === 200 && again.body.includes('data: on? ') && again.body.includes('tidings.end'), 'a repeated POST joins the answer', again.body.slice(0, 300));
  ok((await asked(page)) === earlier + 1, 'and does not ask the model again');

  await page.click('form button');
  await until('a second question is answered', async () => (await text(page)).length > 40 && (await state(page)) !== 'done');
  await twin.goto('about:blank');
  await twin.goto(await page.evaluate(() => location.href));
  await until('the second tab follows it', async () => (await text(twin)).length > 40);
  await page.click('#stop');
  await until('a stop ends it in the first tab', async () => (await state(page)) === 'stopped');
  await until('and in the second', async () => (await state(twin)) === 'stopped');
  const stopped = (await answer(page, new URL(page.url()).hash.slice(1))).join('');
  ok(stopped.length < tokens.join('').length, 'the rest was not produced', String(stopped.length));
  ok((await text(page)) === stopped && (await text(twin)) === stopped, 'both have every token up to the stop', stopped);
  await page.screenshot({ path: join(folder, 'answer-stopped.png') });

  await twin.evaluate(() => sessionStorage.clear());
  await twin.route('**/runs/*', (route) => route.abort('connectionrefused'));
  await twin.reload();
  await until('a tab without the server says it', async () => (await state(twin)) === 'connection lost, retrying');
  ok(await twin.isHidden('#stop'), 'and offers no stop');
  await twin.unroute('**/runs/*');
  await until('and follows when the server is back', async () => (await state(twin)) === 'stopped');
  ok((await text(twin)) === stopped, 'from the first token', await text(twin));

  await twin.goto(`${address}/#unknown`);
  await until('an unknown answer is gone', async () => (await state(twin)) === 'this answer is gone: ask again');
  ok((await twin.isHidden('#stop')) && (await twin.isHidden('#twin')), 'and offers neither a stop nor a second tab');
  await twin.screenshot({ path: join(folder, 'answer-gone.png') });
  await gap(twin);

  await foreign(browser, page);
  ok(mistakes.length === 0, 'no script failed', mistakes.join('; '));
}

/** An answer that begins anew: the page drops the text that it has. */
async function gap(page) {
  const block = (event, id, data) => `event: ${event}\ndata: ${data}\nid: ${id}\n\n`;
  const body = [
    block('tidings.gap', '7.0', '{"id":"7.0","gap":{"reason":"epoch","missed":null}}'),
    block('message', '7.a1', 'anew'),
    block('tidings.end', '7.a2', '{"id":"7.a2","end":{"topic":"runs/ann/gap","reason":"done"}}'),
  ].join('');
  await page.route('**/runs/gap?cursor=6.a1', (route) => route.fulfill({ contentType: 'text/event-stream', body }));
  const kept = { id: 'gap', question: 'Again?', text: 'old', cursor: '6.a1', end: null };
  await page.evaluate((kept) => sessionStorage.setItem('run', JSON.stringify(kept)), kept);
  await page.goto('about:blank');
  await page.goto(`${address}/#gap`);
  await until('an answer with a gap ends', async () => (await state(page)) === 'done');
  ok((await text(page)) === 'anew', 'its text from before the gap is dropped', await text(page));
}

/** A page of another origin posts with the user's cookies: it starts nothing. */
async function foreign(browser, page) {
  const site = createServer((_, response) => response.end('<!doctype html>'));
  await new Promise((listening) => site.listen(0, '127.0.0.1', listening));
  const before = await asked(page);
  // The same site by another port, to which the browser sends the cookie, and another site.
  for (const host of ['127.0.0.1', 'localhost']) {
    const [other, statuses] = [await browser.newPage(), []];
    await other.goto(`http://${host}:${site.address().port}/`);
    other.on('response', (response) => statuses.push(`${response.request().method()} ${response.status()}`));
    await other.evaluate((url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'paid work' }), `${address}/runs/${host}`);
    ok(statuses.join() === 'POST 403', `a POST of a page on ${host} is refused`, statuses.join());
    await other.evaluate((url) => {
      const form = document.body.appendChild(document.createElement('form'));
      Object.assign(form, { method: 'post', action: url, enctype: 'text/plain' });
      form.submit();
    }, `${address}/runs/${host}-form`);
    await until(`a form on ${host} is refused`, async () => statuses.join() === 'POST 403,POST 403');
  }
  ok((await asked(page)) === before, 'a page of another origin starts nothing', String(await asked(page)));
  site.close();
}

/** Returns the tokens of a run, as the server has them. */
function answer(page, id) {
  return page.evaluate(async (id) => {
    const response = await fetch(`/runs/${id}?transport=chunked`);
    const lines = (await response.text()).split('\n').filter(Boolean).map((line) => JSON.parse(line));
    return lines.filter(({ data }) => data !== undefined).map(({ data }) => data);
  }, id);
}

function text(page) {
  return page.textContent('#answer');
}

function state(page) {
  return page.textContent('#state');
}

async function asked(page) {
  return Number(await page.evaluate(async () => (await fetch('/asked')).text()));
}
