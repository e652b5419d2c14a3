// The example axum_chat in a real browser: messages and people of rooms, over WebSockets and without them, the history for a
// newcomer, a cut connection, the limits, and names and texts that look like HTML. The server must be fresh.
//
//   cargo run --example axum_chat --features full -- 127.0.0.1:7075
//   cd tests/browser && npm ci && node chat.mjs http://127.0.0.1:7075 [folder for screenshots]
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails.

import { mistakes, ok, parameters, pictures, run, until } from './browser.mjs';

/** A name and a text that would run a script as HTML. */
const MARKUP = '<img src=x onerror="window.hit=1">';

const { address, folder } = parameters();
await run(folder, { viewport: { width: 1280, height: 720 } }, async (browser) => {
  const [ann, evil] = [browser.pages()[0], await browser.newPage()];
  await ann.goto(address);
  await pictures(ann, folder, 'chat-join');
  await joinAs(ann, 'Ann');
  await until('a page is connected by WebSocket', async () => (await state(ann)) === 'connected by WebSocket');
  await evil.goto(address);
  await joinAs(evil, MARKUP);
  await until('both people are listed', async () => (await people(ann)).join() === `${MARKUP},Ann`);
  await say(evil, MARKUP);
  await until('a message is in both windows', async () => (await lines(ann)).join() === MARKUP + MARKUP && (await lines(evil)).length === 1);
  const hits = await ann.evaluate(() => [window.hit, document.querySelectorAll('img').length]);
  ok(hits.join() === ',0', 'a name and a text are no HTML', hits.join());

  await fallback(browser, ann, evil);
  await cut(ann);
  await history(browser);
  await limits(ann, evil);
  await pictures(ann, folder, 'chat');
  ok(mistakes.length === 0, 'no script failed', mistakes.join('; '));
});

/** A browser without WebSockets: the page uses server-sent events and POST. Then it changes the room. */
async function fallback(browser, ann, evil) {
  const cid = await browser.newPage();
  await cid.addInitScript(() => {
    window.WebSocket = function () {
      setTimeout(() => this.onclose({ code: 1006 }));
    };
  });
  await cid.goto(address);
  await joinAs(cid, 'Cid');
  await until('a page without WebSockets is connected', async () => (await state(cid)) === 'connected by server-sent events');
  await until('and listed by the others', async () => (await people(ann)).includes('Cid'));
  await until('and has the message from before', async () => (await lines(cid)).length === 1);
  await say(cid, 'by POST');
  await say(ann, 'by WebSocket');
  for (const page of [ann, evil, cid]) {
    await until('each has both messages', async () => (await lines(page)).slice(1).sort().join() === 'Annby WebSocket,Cidby POST');
  }
  await cid.click('nav a:nth-child(2)');
  await until('another room lists its people only', async () => (await people(cid)).join() === 'Cid');
  await until('and the first room removes the one who left', async () => !(await people(ann)).includes('Cid'));
  await say(cid, 'in the garden');
  await until('a message is in its room', async () => (await lines(cid)).join() === 'Cidin the garden');
  ok(!(await lines(ann)).includes('Cidin the garden'), 'and in no other');
  await cid.close();
}

/** A connection that is cut while others write: the page has each message once. */
async function cut(ann) {
  const before = await lines(ann);
  await ann.evaluate(() => socket.close());
  await post('Eve', 'missed');
  await until('the connection is back', async () => (await state(ann)) === 'connected by WebSocket' && (await lines(ann)).length > before.length);
  await post('Eve', 'later');
  await until('with each message once', async () => (await lines(ann)).join() === [...before, 'Evemissed', 'Evelater'].join());
  ok((await people(ann)).includes('Ann'), 'and the list of people');

  // As after a restart of the server: a cursor of another hub.
  await ann.evaluate(() => {
    cursor = '7.a1';
    socket.close();
  });
  await until('a page that was away for long shows a gap', async () => (await lines(ann)).includes('Messages may be missing here.'));
  await until('and has the list of people', async () => (await people(ann)).includes('Ann'));
}

async function history(browser) {
  for (let i = 0; i < 60; i++) ok((await post(`Writer ${i % 10}`, `message ${i}`)).status === 204, `message ${i} is accepted`);
  const late = await browser.newPage();
  await late.goto(address);
  await joinAs(late, 'Late');
  await until('a newcomer has history', async () => (await lines(late)).at(-1) === 'Writer 9message 59');
  ok((await lines(late)).length === 50, 'of 50 messages', String((await lines(late)).length));
  await late.close();
}

async function limits(ann, evil) {
  const before = (await lines(ann)).length;
  await evil.evaluate(() => {
    for (let i = 0; i < 20; i++) {
      document.forms[1].text.value = `flood ${i}`;
      document.forms[1].requestSubmit();
    }
  });
  await until('a flood is refused', async () => (await state(evil)) === 'not sent: too many messages');
  ok((await evil.inputValue('[name=text]')).startsWith('flood'), 'and its text is kept in the field');
  await say(ann, 'after the flood');
  await until('others are not limited', async () => (await lines(ann)).at(-1) === 'Annafter the flood');
  const passed = (await lines(ann)).length - before - 1;
  ok(passed >= 6 && passed < 20, 'the first six messages were accepted', String(passed));

  let refused = 0;
  for (let i = 0; i < 20; i++) refused += Number((await post('Flood', 'x')).status === 503);
  ok(refused > 0, 'a flood by POST is refused, too');
  ok((await post('Long', 'x'.repeat(501))).status === 400, 'a text of 501 characters is refused');
  ok((await post('Long', 'x'.repeat(2_001))).status === 413, 'more bytes are not read');
  ok((await post('', 'x')).status === 400, 'a message without a name is refused');
  ok((await post('Eve', 'x', { room: 'attic' })).status === 404, 'and one to an unknown room');
  ok((await post('Eve', 'x', {}, { origin: 'http://127.0.0.1:1' })).status === 403, 'and one of another site');
  const code = await ann.evaluate(() => new Promise((done) => {
    const socket = new WebSocket('/events?room=lobby&name=Long', 'tidings.v1');
    socket.onopen = () => socket.send('x'.repeat(2_001));
    socket.onclose = ({ code }) => done(code);
  }));
  ok(code === 1009, 'a WebSocket is closed after a message of too many bytes', String(code));
}

async function joinAs(page, name) {
  await page.fill('[name=name]', name);
  await page.click('#join button');
}

async function say(page, text) {
  await page.fill('[name=text]', text);
  await page.press('[name=text]', 'Enter');
}

function state(page) {
  return page.textContent('#state');
}

function people(page) {
  return texts(page, '#people li');
}

function lines(page) {
  return texts(page, 'ol li');
}

function texts(page, selector) {
  return page.$$eval(selector, (items) => items.map((item) => item.textContent));
}

function post(name, body, query = {}, headers = {}) {
  const parameters = new URLSearchParams({ room: 'lobby', name, ...query });
  return fetch(`${address}/events?${parameters}`, { method: 'POST', headers: { 'content-type': 'text/plain', ...headers }, body });
}
