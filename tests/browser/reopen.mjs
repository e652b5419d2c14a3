// The code of docs/proxies.md that reopens an EventSource: a proxy in this process answers 502 for a while, which closes an
// EventSource permanently.
//
//   cargo run --release --example relay --features full -- --listen 127.0.0.1:7071
//   cd tests/browser && npm ci && node reopen.mjs http://127.0.0.1:7071/
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails.

import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { ok, parameters, run, until } from './browser.mjs';

const { address } = parameters();
const page = await readFile(new URL('../../docs/proxies.md', import.meta.url), 'utf8');
const code = page.match(/^## Reopening an EventSource$[^]*?^```js\n([^]*?)^```$/m)?.[1];

let isDown = false;
// Number of 502 that the code got.
let refused = 0;
const open = new Set();
const targets = [];
const proxy = createServer((asked, answer) => {
  if (!asked.url.startsWith('/events')) {
    answer.setHeader('content-type', 'text/html');
    return answer.end('<!doctype html><title>page</title>');
  }
  if (isDown) {
    refused += asked.url.includes('session=code') ? 1 : 0;
    return answer.writeHead(502).end();
  }
  targets.push(asked.url);
  open.add(answer);
  answer.on('close', () => open.delete(answer));
  const far = request(new URL(asked.url, address), { headers: asked.headers }, (response) => {
    answer.writeHead(response.statusCode, response.headers);
    response.on('error', () => answer.destroy());
    response.pipe(answer);
  });
  far.on('error', () => answer.destroy());
  answer.on('close', () => far.destroy());
  far.end();
});
await new Promise((listening) => proxy.listen(0, '127.0.0.1', listening));

const post = async (path, body) => {
  const answer = await fetch(new URL(path, address), { method: 'POST', body });
  ok(answer.ok, `POST ${path}: ${answer.status}`);
};

await run(null, {}, async (browser) => {
  ok(code, 'docs/proxies.md has the code');
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${proxy.address().port}/`);
  await tab.addScriptTag({ content: code });
  await tab.evaluate(() => {
    window.got = [];
    window.plain = new EventSource('/events?topic=reopen&transport=sse');
    window.close = follow('/events?topic=reopen&transport=sse&session=code', (event) => window.got.push(event.data));
  });
  const got = () => tab.evaluate(() => window.got.join());
  await until('two streams', () => open.size === 2);
  await post('/publish/reopen', 'before');
  const expected = ['before'];
  await until('the first event', async () => (await got()) === expected.join());
  // Twice: the second outage ends a stream that was opened with a cursor.
  for (const outage of ['first', 'second']) {
    const before = refused;
    isDown = true;
    open.forEach((answer) => answer.destroy());
    await until('a plain EventSource is closed', () => tab.evaluate(() => window.plain.readyState === EventSource.CLOSED));
    await until(`a 502 in the ${outage} outage`, () => refused > before);
    await post('/publish/reopen', `in the ${outage} outage`);
    expected.push(`in the ${outage} outage`);
    isDown = false;
    await until(`the event of the ${outage} outage`, async () => (await got()) === expected.join());
  }
  ok(targets.filter((target) => target.includes('&cursor=')).length >= 2, 'the code sends its cursor');
  await post('/finish/reopen');
  await until('the end of the stream', () => open.size === 0);
});
