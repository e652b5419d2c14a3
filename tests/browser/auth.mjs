// The example axum_auth in a real browser: a login, notes for one user only, a stream that outlasts its first token, one that
// ends with it, and a revocation of all sessions of a user. The server must be fresh, and have tokens of 12 s.
//
//   cargo run --example axum_auth --features full -- 127.0.0.1:7074 12
//   cd tests/browser && npm ci && node auth.mjs http://127.0.0.1:7074 [folder for screenshots]
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails.

import { createServer } from 'node:http';
import { mistakes, ok, parameters, pictures, run, until } from './browser.mjs';

const { address, folder } = parameters();
/** Another host name of the server, whose cookies are its own: Ann is at the address, and Bob is here. */
const second = address.replace('127.0.0.1', 'localhost');

await run(folder, { viewport: { width: 1280, height: 720 } }, async (browser) => {
  const [ann, bob] = [browser.pages()[0], await browser.newPage()];
  await ann.goto(address);
  await until('a page without a login shows the form', () => ann.isVisible('#login'));
  ok((await events('')).status === 401, 'and its events are refused');
  await logIn(ann, 'ann', 'bob-pass');
  await until('a wrong password is refused', async () => (await state(ann)) === 'wrong name or password');
  await pictures(ann, folder, 'auth-login');
  await logIn(ann, 'ann', 'ann-pass');
  await until('the right one is accepted', async () => (await state(ann)) === 'logged in as ann');
  const [cookie] = await browser.cookies(address);
  ok(cookie.httpOnly && cookie.sameSite === 'Strict', 'the cookie is HttpOnly and SameSite=Strict', JSON.stringify(cookie));
  ok((await ann.evaluate(() => document.cookie)) === '', 'and hidden from scripts');

  await bob.goto(second);
  await logIn(bob, 'bob', 'bob-pass');
  await until('a second user logs in', async () => (await state(bob)) === 'logged in as bob');
  await until('and sees the login', async () => (await lines(bob)).join() === 'login 1');
  await send(ann, 'bob', 'before');
  await until('a note reaches its user', async () => (await lines(bob)).join() === 'login 1,ann: before');
  ok((await lines(ann)).join() === 'login 0', 'and no other', (await lines(ann)).join());
  const wanted = await (await events(await token(browser), '&topic=users/ann/logins&start=oldest')).json();
  ok(wanted.events.length === 2 && wanted.events.every(({ topic }) => topic.startsWith('users/bob/')), 'a user who asks for topics of another one gets the own ones', JSON.stringify(wanted));
  ok((await post('/revoke', 'name=ann', await token(browser))).status === 403, 'a user cannot revoke another one');
  ok((await events(forged(await token(browser)))).status === 401, 'a token for another user is not valid with the old signature');
  ok((await events(unsigned(await token(browser)))).status === 401, 'nor is one without a signature');

  const unrenewed = ended(await tokenOf('cid'));
  await renewal(browser, ann, bob);
  await until('a stream of a program that renews nothing breaks off', async () => (await Promise.race([unrenewed, null])) === 'broken');
  await expiry(ann, bob);
  await revocation(browser, ann, bob);
  await foreign(browser, ann);
  await pictures(ann, folder, 'auth-notes');
  ok(mistakes.length === 0, 'no script failed', mistakes.join('; '));
});

/** The token is renewed until the first one has long expired: the stream is the same, and has each note once. */
async function renewal(browser, ann, bob) {
  const [opened, first] = [[], await token(browser)];
  bob.on('request', (request) => new URL(request.url()).pathname === '/events' && opened.push(request));
  await until('the first token expires', async () => (await events(first)).status === 401);
  await send(ann, 'bob', 'after');
  await until('the stream continues', async () => (await lines(bob)).join() === 'login 1,ann: before,ann: after');
  ok(opened.length === 0, 'and is the one that the first token opened', String(opened.length));
}

/** Without a renewal the stream ends with the token. After a login the page has what it missed. */
async function expiry(ann, bob) {
  await bob.route('**/renew', (route) => route.abort('connectionrefused'));
  await until('a stream whose token is not renewed ends', async () => (await state(bob)) === 'logged out');
  await send(ann, 'bob', 'missed');
  await bob.unroute('**/renew');
  await logIn(bob, 'bob', 'bob-pass');
  await until('a login shows the missed note', async () => (await lines(bob)).join() === 'login 1,ann: before,ann: after,ann: missed,login 3');
}

/** The button ends all sessions of the user, and their token is refused from then on. */
async function revocation(browser, ann, bob) {
  const twin = await bob.context().newPage();
  await twin.goto(second);
  await until('a second window has the login of the first', async () => (await state(twin)) === 'logged in as bob');
  const stolen = await token(browser);
  ok((await events(stolen)).status === 200, 'a copy of the cookie is as good as the login');
  await ann.selectOption('#revoke select', 'bob');
  await ann.click('#revoke button');
  await until('the revocation ends the first window', async () => (await state(bob)) === 'logged out');
  await until('and the second', async () => (await state(twin)) === 'logged out');
  ok((await events(stolen)).status === 401, 'the copy of the cookie is refused');
  ok((await post('/renew', '', stolen)).status === 401, 'and cannot be renewed');
  ok((await state(ann)) === 'logged in as ann', 'another user stays');
  await bob.reload();
  await until('a reload shows the form', () => bob.isVisible('#login'));
  await logIn(bob, 'bob', 'bob-pass');
  await until('the password makes a new login', async () => (await state(bob)) === 'logged in as bob');
}

/** Pages of another port, to which the browser sends the cookie, and of another site can neither send nor read. */
async function foreign(browser, ann) {
  const site = createServer((_, response) => response.end('<!doctype html>'));
  await new Promise((listening) => site.listen(0, '127.0.0.1', listening));
  const before = (await lines(ann)).join();
  for (const host of ['127.0.0.1', 'localhost']) {
    const [page, statuses] = [await browser.newPage(), []];
    page.on('response', (response) => response.url().startsWith(address) && statuses.push(response.status()));
    await page.goto(`http://${host}:${site.address().port}/`);
    await page.evaluate((url) => fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams('to=ann&text=forged') }), `${address}/notes`);
    await until(`a POST of a page on ${host} is refused`, async () => statuses.join() === '403');
    const closed = await page.evaluate((url) => new Promise((done) => {
      const source = new EventSource(url, { withCredentials: true });
      source.onopen = () => done(false);
      source.onerror = () => done(source.readyState === EventSource.CLOSED);
    }), `${address}/events`);
    ok(closed, 'and its EventSource does not open');
  }
  await send(ann, 'ann', 'own');
  await until('and nothing came of it', async () => (await lines(ann)).join() === `${before},ann: own`);
  site.close();
}

async function logIn(page, name, password) {
  await page.fill('[name=name]', name);
  await page.fill('[name=password]', password);
  await page.click('#login button');
}

async function send(page, to, text) {
  await page.selectOption('#note select', to);
  await page.fill('#note input', text);
  await page.click('#note button');
}

function state(page) {
  return page.textContent('#state').catch(() => ''); // during a navigation
}

function lines(page) {
  return page.evaluate(() => [...document.querySelectorAll('li')].map((item) => item.textContent)).catch(() => []);
}

/** Returns the token of Bob's cookie. */
async function token(browser) {
  return (await browser.cookies(second)).find(({ name }) => name === 'session').value;
}

/** Logs in without a browser, and returns the token. */
async function tokenOf(name) {
  const body = new URLSearchParams({ name, password: `${name}-pass` });
  const response = await fetch(`${address}/login`, { method: 'POST', redirect: 'manual', body });
  return /session=([^;]+)/.exec(response.headers.get('set-cookie'))[1];
}

/** Follows the events of a token, and returns how the stream ended. */
async function ended(token) {
  const stream = await fetch(`${address}/events?transport=chunked`, { headers: { cookie: `session=${token}` } });
  return stream.text().then(() => 'complete', () => 'broken');
}

/** Returns the token with the name of another user, and the old signature. */
function forged(token) {
  const [head, claims, signature] = token.split('.');
  const changed = { ...JSON.parse(Buffer.from(claims, 'base64url')), sub: 'ann' };
  return [head, encoded(changed), signature].join('.');
}

/** Returns the token without a signature. */
function unsigned(token) {
  return [encoded({ typ: 'JWT', alg: 'none' }), token.split('.')[1], ''].join('.');
}

function encoded(object) {
  return Buffer.from(JSON.stringify(object)).toString('base64url');
}

function events(token, query = '') {
  return fetch(`${address}/events?transport=short-poll${query}`, { headers: { cookie: `session=${token}` } });
}

function post(path, body, token) {
  const headers = { cookie: `session=${token}`, 'content-type': 'application/x-www-form-urlencoded' };
  return fetch(address + path, { method: 'POST', headers, body });
}
