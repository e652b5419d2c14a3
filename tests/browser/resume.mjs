// Clients of server-sent events that lose their connection before the first event and resume: an event that is published
// meanwhile reaches them once, and they get nothing that is not an event.
//
//   cargo run --release --example relay --features full -- --listen 127.0.0.1:7071
//   cd tests/browser && npm ci && node resume.mjs http://127.0.0.1:7071/
//
// Starts only the browser: /usr/bin/chromium, or the path in CHROMIUM. Exits with 1 at the first check that fails. The
// clients connect through a proxy in this process, which cuts them.

import { readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { EventSource as NodeEventSource } from 'eventsource';
import { ok, parameters, run, until } from './browser.mjs';

const { address } = parameters();
const relay = new URL(address);

/** A proxy to the relay. Keeps the bytes of each response, and the times of each request and of each end. */
class Proxy {
  static async open() {
    const proxy = new Proxy();
    proxy.sockets = new Set();
    proxy.forget();
    proxy.server = createServer((near) => proxy.join(near));
    await new Promise((listening) => proxy.server.listen(0, '127.0.0.1', listening));
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}/`;
    return proxy;
  }

  forget() {
    this.down = [];
    this.heads = [];
  }

  join(near) {
    const far = connect(relay.port, relay.hostname);
    const entry = { bytes: '', ended: null };
    const pair = [near, far];
    pair.forEach((socket) => this.sockets.add(socket));
    near.on('data', (bytes) => {
      const text = String(bytes);
      if (text.startsWith('GET /events')) {
        this.heads.push({ text, at: performance.now() });
        this.down.push(entry);
      }
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      entry.bytes += bytes;
      // The last chunk of the response: the client counts its retry time from here.
      if (entry.bytes.endsWith('\r\n0\r\n\r\n')) entry.ended ??= performance.now();
      near.write(bytes);
    });
    for (const socket of pair) {
      socket.on('error', () => {});
      socket.on('close', () => {
        entry.ended ??= performance.now();
        pair.forEach((other) => {
          this.sockets.delete(other);
          other.destroy();
        });
      });
    }
  }

  /** Ends every connection after what was sent, in the middle of its response. */
  cut() {
    for (const entry of this.down) entry.ended ??= performance.now();
    this.sockets.forEach((socket) => socket.end());
  }

  close() {
    this.sockets.forEach((socket) => socket.destroy());
    this.server.close();
  }
}

let browser;
const proxy = await Proxy.open();

/** Opens a page of the proxy's own origin, to which the relay's events are its own. */
async function blank() {
  const page = await browser.newPage();
  const modules = join(import.meta.dirname, 'node_modules');
  await page.route('**/blank', (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }));
  await page.route('**/modules/**', async (route) => {
    const path = new URL(route.request().url()).pathname.slice('/modules/'.length);
    const file = join(modules, path.endsWith('.js') ? path : `${path}.js`);
    await route.fulfill({ contentType: 'text/javascript', body: await readFile(file, 'utf8') });
  });
  await page.goto(`${proxy.url}blank`);
  await page.evaluate(() => (window.seen = []));
  return page;
}

/**
 * Each returns by `seen()` the name and data of each event that the client handed to the page so far: the hello and messages,
 * and events of all names where the client has one callback for them.
 */
const clients = {
  'EventSource of Chromium': async (url) => {
    const page = await blank();
    await page.evaluate((url) => {
      const source = new EventSource(url);
      const note = ({ type, data }) => window.seen.push([type, data]);
      for (const name of ['tidings.hello', 'message']) source.addEventListener(name, note);
    }, url);
    return { seen: () => page.evaluate(() => window.seen), close: () => page.close() };
  },
  'fetch-event-source': async (url) => {
    const page = await blank();
    await page.evaluate(async (url) => {
      const { fetchEventSource } = await import('/modules/@microsoft/fetch-event-source/lib/esm/index.js');
      fetchEventSource(url, {
        openWhenHidden: true,
        onmessage: ({ event, data }) => window.seen.push([event || 'message', data]),
      });
    }, url);
    return { seen: () => page.evaluate(() => window.seen), close: () => page.close() };
  },
  'event-source-polyfill': async (url) => {
    const page = await blank();
    await page.addScriptTag({ url: '/modules/event-source-polyfill/src/eventsource.js' });
    await page.evaluate((url) => {
      const source = new EventSourcePolyfill(url);
      const note = ({ type, data }) => window.seen.push([type, data]);
      for (const name of ['tidings.hello', 'message']) source.addEventListener(name, note);
    }, url);
    return { seen: () => page.evaluate(() => window.seen), close: () => page.close() };
  },
  'npm eventsource': async (url) => {
    const [source, seen] = [new NodeEventSource(url), []];
    const note = ({ type, data }) => seen.push([type, data]);
    for (const name of ['tidings.hello', 'message']) source.addEventListener(name, note);
    return { seen: () => seen, close: () => source.close() };
  },
};

/** How a connection is cut. */
const cuts = {
  'by the network': async () => proxy.cut(),
  'by the server': async () => {
    const sessions = await (await fetch(new URL('sessions', relay))).json();
    ok(sessions.length === 1, 'one session', JSON.stringify(sessions));
    const { status } = await fetch(new URL(`sessions/${sessions[0].id}`, relay), { method: 'DELETE' });
    ok(status === 204, 'the session is ended', String(status));
  },
};

let trials = 0;
await run(null, {}, async (launched) => {
  browser = launched;
  try {
    for (const [name, client] of Object.entries(clients)) {
      for (const [how, cut] of Object.entries(cuts)) await trial(`${name}, cut ${how}`, client, cut);
    }
  } finally {
    proxy.close();
  }
});

async function trial(name, client, cut) {
  proxy.forget();
  const topic = `resume/${trials++}`;
  const { seen, close } = await client(`${proxy.url}events?transport=sse&topic=${topic}`);
  // A client that reads by fetch may drop bytes that it has not read when its connection is cut: the cut waits until the
  // client has read the hello.
  await until(`${name}: the client reads the hello`, async () => (await seen()).some(([type]) => type === 'tidings.hello'));
  const id = /^id: (\S+)$/m.exec(proxy.down[0].bytes)[1];
  await cut();
  await until(`${name}: it is cut`, () => proxy.down[0].ended !== null);
  // The id of the hello, or of the block with which the server ends a stream.
  const retry = Number([...proxy.down[0].bytes.matchAll(/^retry: (\d+)$/gm)].at(-1)[1]);
  const published = await fetch(new URL(`publish/${topic}`, relay), { method: 'POST', body: 'while it was away' });
  ok(published.ok, `${name}: published while it was away`, String(published.status));

  await until(`${name}: it comes back`, () => proxy.heads.length > 1);
  const { text, at } = proxy.heads[1];
  ok(text.toLowerCase().includes(`last-event-id: ${id}`) || text.includes(`lastEventId=${id}`),
    `${name}: it comes back with the hello's id`, text);
  const away = at - proxy.down[0].ended;
  ok(away > retry - 100, `${name}: it reconnects after the retry time`, `${away} ms instead of ${retry} ms`);
  await until(`${name}: the event arrives`, async () => (await seen()).some(([, data]) => data === 'while it was away'));
  await fetch(new URL(`publish/${topic}`, relay), { method: 'POST', body: 'the last' });
  await until(`${name}: it goes on`, async () => (await seen()).some(([, data]) => data === 'the last'));
  const hellos = (await seen()).filter(([type]) => type === 'tidings.hello');
  ok(hellos.length === proxy.heads.length, `${name}: one hello for each connection`, JSON.stringify(await seen()));
  // Clients with one callback for all names also hand out the retry block.
  const events = (await seen()).filter(([type]) => !type.startsWith('tidings.'));
  const expected = [['message', 'while it was away'], ['message', 'the last']];
  ok(JSON.stringify(events) === JSON.stringify(expected), `${name}: nothing else, and nothing twice`, JSON.stringify(events));
  await close();
  await until(`${name}: it leaves`, async () => (await (await fetch(new URL('sessions', relay))).json()).length === 0);
}
