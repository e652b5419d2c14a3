// The browser client under Node, against the server of server.rs through a proxy that breaks transports, and against scripts of
// answers.
//
//   cargo build --example browser_client --features full,disk
//   cd tests/browser && npm ci && SERVER=../../target/debug/examples/browser_client node --test client.test.mjs

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { minify } from 'terser';
import { WebSocket } from 'ws';
import { connect } from '../../client/tidings.js';
import { fault, Proxy, Server, Source, TRANSPORTS, until } from './client-kit.mjs';

globalThis.WebSocket ??= WebSocket;
const FAST = { minDelay: 40, delay: 80, maxDelay: 400, stableAfter: 400, slowAfter: 600, wait: 2 };

let server;
let topics = 0;
before(async () => (server = await Server.open(process.env.SERVER ?? '../../target/debug/examples/browser_client')));
after(() => server.close());

/** Opens a proxy and a client of one topic behind it. Both are closed after the test. */
async function open(t, options = {}, rules = {}) {
  const proxy = await Proxy.open(server.port);
  proxy.rules = rules;
  const topic = options.topic ?? `t/${topics++}`;
  const run = { proxy, topic, source: new Source(server, topic), seen: [], states: [], gaps: [], ends: [], answers: [], errors: [] };
  run.client = connect(options.url ?? `${proxy.url}/events`, {
    ...FAST,
    topics: [topic],
    onevent: ({ data }) => run.seen.push(data),
    onstate: (state) => run.states.push(state),
    ongap: (gap) => run.gaps.push(gap),
    onend: (end) => run.ends.push(end),
    onanswer: (answer) => run.answers.push(answer.data),
    onerror: (error) => run.errors.push(error),
    ...options,
  });
  t.after(() => {
    run.client.close();
    proxy.close();
  });
  return run;
}

const opened = (run) => until('the client is open', () => run.client.state === 'open' && run.client.cursor);

/** Waits until the client has all that was published, and checks each event. */
async function complete(run) {
  await until('the client has all events', () => run.seen.length >= run.source.published);
  assert.equal(fault(run.seen), '');
  assert.equal(run.seen.length, run.source.published);
  assert.deepEqual(run.gaps, []);
}

/** Answers requests by a script: each answer is a function of the request and the response. The last one repeats. */
async function script(t, ...answers) {
  const requests = [];
  const http = createServer((request, response) => {
    requests.push({ target: request.url, headers: request.headers });
    answers[Math.min(requests.length, answers.length) - 1](response, request);
  });
  await new Promise((listening) => http.listen(0, '127.0.0.1', listening));
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return { requests, url: `http://127.0.0.1:${http.address().port}/events` };
}

const status = (code, headers = {}) => (response) => response.writeHead(code, headers).end('{"error":"refused"}');
/** Returns an answer of lines, after which the stream stays open. */
const lines = (...objects) => (response) => {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  for (const object of objects) response.write(`${JSON.stringify(object)}\n`);
};
const hello = { tidings: 'hello', cursor: '7.0', heartbeat_ms: 15_000 };
const event = (id, topic = 'a') => ({ id, topic, data: id });

test('module has at most 4,000 bytes when minified and compressed', async () => {
  const source = await readFile(new URL('../../client/tidings.js', import.meta.url), 'utf8');
  const { code } = await minify(source, { module: true, compress: { passes: 3 } });
  const { length } = gzipSync(code, { level: 9 });
  console.log(`tidings.js: ${source.length} bytes, ${code.length} minified, ${length} compressed`);
  assert.ok(length <= 4_000, `${length} bytes`);
});

for (const transport of TRANSPORTS) {
  test(`${transport} delivers each event once and in order while connections are cut`, async (t) => {
    const run = await open(t, { transports: [transport] });
    await opened(run);
    for (let cut = 0; cut < 4; cut++) {
      await run.source.publish(20);
      if (cut % 2) await server.post('/cut');
      else run.proxy.cut();
      await run.source.publish(5);
      await opened(run);
    }
    await run.source.publish(20);
    await complete(run);
    for (const { state, delay } of run.states) {
      if (state === 'waiting') assert.ok(delay >= FAST.minDelay, `${delay} ms`);
    }
  });

  test(`${transport} ends with the topic`, async (t) => {
    const run = await open(t, { transports: [transport] });
    await opened(run);
    await run.source.publish(3);
    await server.post(`/finish/${run.topic}`);
    await until('the client is closed', () => run.client.state === 'closed');
    await complete(run);
    assert.equal(run.states.at(-1).reason, 'ended');
    assert.equal(run.ends[0].topic, run.topic);
    assert.equal(run.ends[0].reason, 'done');
    // The end of an NDJSON body may be the work of a proxy, so the client asks again.
    const expected = { websocket: 1, sse: 1, chunked: 2 }[transport];
    if (expected) assert.equal(run.proxy.requests.length, expected);
  });

  test(`${transport} sends messages, and their answers arrive`, async (t) => {
    const run = await open(t, { transports: [transport] });
    await opened(run);
    await run.client.send('one');
    await run.client.send({ two: 2 });
    await until('both answers', () => run.answers.length === 2);
    assert.deepEqual(run.answers, ['one', '{"two":2}']);
    const rejected = run.client.send('no').then(() => until('the rejection', () => run.errors[0]), (error) => error);
    assert.equal((await rejected).message, 'forbidden');
    assert.equal(run.client.state, 'open');
  });

  test(`${transport} changes its topics`, async (t) => {
    const run = await open(t, { transports: [transport] });
    await opened(run);
    const other = new Source(server, `t/${topics++}`);
    await run.source.publish(2);
    await run.client.setTopics([run.topic, other.topic]);
    await until('the first topic', () => run.seen.length === 2);
    await other.publish(3);
    await until('both topics', () => run.seen.length === 5);
    await assert.rejects(run.client.setTopics(['forbidden']), /forbidden/);
    await opened(run);
    await run.source.publish(1);
    await until('the earlier topics', () => run.seen.length === 6);
    assert.deepEqual(run.seen, ['0', '1', '0', '1', '2', '2']);
  });
}

for (let blocked = 1; blocked < TRANSPORTS.length; blocked++) {
  const names = TRANSPORTS.slice(0, blocked);
  test(`${TRANSPORTS[blocked]} is used where ${names.join(', ')} are blocked`, async (t) => {
    const run = await open(t, {}, Object.fromEntries(names.map((name) => [name, 'block'])));
    await opened(run);
    assert.equal(run.client.transport, TRANSPORTS[blocked]);
    for (const name of names) assert.equal(run.proxy.of(name).length, 2, name);
    await run.source.publish(20);
    await complete(run);
  });
}

test('next transport is tried beside one that hangs', async (t) => {
  const run = await open(t, {}, { websocket: 'hang', sse: 'hang' });
  await opened(run);
  assert.equal(run.client.transport, 'chunked');
  assert.equal(run.proxy.of('websocket').length, 1);
  await run.source.publish(20);
  await complete(run);
});

test('WebSocket that is killed after each handshake is left after two attempts', async (t) => {
  const run = await open(t, {}, { websocket: 30 });
  await until('the client has left it', () => run.client.transport === 'sse');
  for (let round = 0; round < 10; round++) {
    await run.source.publish(5);
    await until('progress', () => run.seen.length === run.source.published);
  }
  await complete(run);
  assert.equal(run.proxy.of('websocket').length, 2);
});

test('demotion is stored for the tab, and ends after its time', async (t) => {
  globalThis.sessionStorage = {};
  t.after(() => delete globalThis.sessionStorage);
  const run = await open(t, { stableAfter: 50 }, { websocket: 'block' });
  await until('the WebSocket is demoted', () => sessionStorage.tidings?.includes('websocket'));
  assert.equal(run.client.transport, 'sse');
  assert.equal(run.proxy.of('websocket').length, 2);
  await run.source.publish(10);

  const reloaded = await open(t, { stableAfter: 50 });
  await opened(reloaded);
  assert.equal(reloaded.proxy.of('websocket').length, 0);

  run.proxy.rules = {};
  t.mock.method(Date, 'now', ((real) => () => real.call(Date) + 31_000)(Date.now));
  run.proxy.cut();
  await until('the client is back on the WebSocket', () => run.client.transport === 'websocket');
  await run.source.publish(10);
  await complete(run);
});

test('better transport is probed beside the live one, and replaces it without a loss', async (t) => {
  const run = await open(t, { stableAfter: 50, minDelay: 1 }, { websocket: 'block' });
  await opened(run);
  assert.equal(run.client.transport, 'sse');
  globalThis.sessionStorage = {};
  t.after(() => delete globalThis.sessionStorage);
  await until('the WebSocket is demoted', () => sessionStorage.tidings?.includes('websocket'));
  run.proxy.rules = {};
  // The timer of the probe is set at the next stable connection: it is then due after its least time, 1 s.
  t.mock.method(Date, 'now', ((real) => () => real.call(Date) + 29_500)(Date.now));
  run.proxy.cut();
  let isOver = false;
  const publishing = (async () => {
    while (!isOver) await run.source.publish(1);
  })();
  await until('the client is back on the WebSocket', () => run.client.transport === 'websocket');
  isOver = true;
  await publishing;
  const states = run.states.slice(run.states.findLastIndex(({ transport, state }) => state === 'open' && transport === 'sse'));
  assert.deepEqual(states.map(({ state, transport }) => [state, transport]), [['open', 'sse'], ['open', 'websocket']]);
  await complete(run);
});

test('silent connection is replaced', async (t) => {
  await Promise.all(['websocket', 'sse', 'chunked'].map(async (transport) => {
    const run = await open(t, { transports: [transport], stableAfter: 60_000 });
    await opened(run);
    await run.source.publish(5);
    await until('the first events', () => run.seen.length === 5);
    run.proxy.isFrozen = true;
    await run.source.publish(5);
    await until('the client has noticed', () => run.client.state !== 'open');
    run.proxy.isFrozen = false;
    await run.source.publish(5);
    await complete(run);
    assert.match(run.errors[0].message, /no heartbeat/);
  }));
});

test('restart of the server loses nothing', async (t) => {
  const run = await open(t);
  await opened(run);
  await run.source.publish(20);
  for (const signal of ['SIGKILL', 'SIGINT']) {
    await server.stop(signal);
    await until('the client has noticed', () => run.client.state !== 'open');
    await server.start();
    await run.source.publish(20);
    await opened(run);
  }
  await complete(run);
});

test('delays have the minimum, a random part that doubles, and a limit', async (t) => {
  t.mock.method(Math, 'random', () => 0.5);
  const run = await open(t, {}, Object.fromEntries(TRANSPORTS.map((name) => [name, 'block'])));
  const waits = () => run.states.filter(({ state }) => state === 'waiting').map(({ delay }) => delay);
  await until('six attempts', () => waits().length >= 6);
  assert.deepEqual(waits().slice(0, 6), [120, 200, 240, 240, 240, 240]);
  for (let at = 1; at < 6; at++) {
    const gap = run.proxy.requests[at].at - run.proxy.requests[at - 1].at;
    assert.ok(gap >= waits()[at - 1] - 5, `${gap} ms, and not ${waits()[at - 1]}`);
  }
});

test('time that the server announces is waited for', async (t) => {
  const busy = await script(t, status(503, { 'tidings-retry-ms': '700' }));
  const run = await open(t, { url: busy.url, transports: ['sse'] });
  await until('two waits', () => run.states.filter(({ state }) => state === 'waiting').length === 2);
  for (const { state, delay } of run.states) if (state === 'waiting') assert.ok(delay >= 700 && delay <= 740, `${delay}`);
  assert.deepEqual(run.errors, []);

  const soft = await script(t, (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: tidings.retry\nretry: 500\ndata: {"retry_ms":500}\nid: 7.a3\n\n');
  });
  const second = await open(t, { url: soft.url, transports: ['sse', 'chunked'] });
  await until('two attempts', () => soft.requests.length === 3);
  assert.ok(soft.requests.every(({ target }) => target.includes('transport=sse')));
  assert.ok(!second.states.some(({ state }) => state === 'open'));
});

test('refusal is final, and a transport that is not offered is left out', async (t) => {
  const gone = await script(t, status(403));
  const run = await open(t, { url: gone.url, transports: ['sse', 'chunked'] });
  await until('the client is closed', () => run.client.state === 'closed');
  assert.equal(run.states.at(-1).error.status, 403);
  assert.equal(run.states.at(-1).error.message, 'refused');
  assert.equal(gone.requests.length, 1);

  const partly = await script(t, status(400), lines(hello));
  const second = await open(t, { url: partly.url, transports: ['sse', 'chunked'] });
  await opened(second);
  assert.equal(second.client.transport, 'chunked');

  const bad = await script(t, status(400));
  const third = await open(t, { url: bad.url, transports: ['sse', 'chunked'] });
  await until('the client is closed', () => third.client.state === 'closed');
  assert.equal(bad.requests.length, 2);
});

test('url and headers are read for each attempt, and once more after a 401', async (t) => {
  const guarded = await script(t, status(401), lines(hello), (response) => response.destroy(), lines(hello));
  let calls = 0;
  const url = async () => `${guarded.url}?call=${++calls}`;
  const headers = async () => ({ authorization: `Bearer ${calls}` });
  const run = await open(t, { url, headers, transports: ['chunked'] });
  await opened(run);
  assert.deepEqual(guarded.requests.map(({ headers }) => headers.authorization), ['Bearer 1', 'Bearer 2']);
  assert.match(guarded.requests[1].target, /call=2.*transport=chunked/);

  const closed = await script(t, status(401));
  const second = await open(t, { url: closed.url, headers });
  assert.ok(!closed.requests.some(({ target }) => target.includes('websocket')));
  await until('the client is closed', () => second.client.state === 'closed');
  assert.equal(closed.requests.length, 2);
});

test('events that were delivered are dropped, and gaps, states and snapshots pass', async (t) => {
  const cut = (...objects) => (response) => {
    lines(...objects)(response);
    response.end();
  };
  const { url, requests } = await script(
    t,
    // The state of a topic that the application has added is below the cursor. The link is cut in it.
    cut(hello, event('7.a4'), event('7.b10'), event('7.a2', 'keyed')),
    cut(
      { ...hello, cursor: '7.a2' },
      event('7.a3', 'keyed'),
      event('7.a4'),
      event('7.b10'),
      event('7.b11'),
      { id: '7.b12', gap: { reason: 'evicted', missed: 1 } },
      event('7.b13'),
      // The application has added another topic.
      event('7.a1', 'added'),
      // The state of one topic; the link is cut in it, too.
      { id: '7.0', gap: { reason: 'evicted', missed: null, topic: 'other', snapshot: true } },
      event('7.a5', 'other'),
    ),
    cut(
      { ...hello, cursor: '7.a5' },
      event('7.a6', 'other'),
      event('7.b13'),
      event('7.b14', 'other'),
      event('7.b15'),
      // A snapshot of the application; the link is cut in it.
      { id: '0.0', gap: { reason: 'evicted', missed: null, snapshot: true } },
      event('0.0'),
    ),
    // The snapshot again, and then a restart.
    lines(
      { ...hello, cursor: null },
      event('0.0'),
      event('0.0'),
      event('7.b20'),
      { id: '8.0', gap: { reason: 'epoch', missed: null } },
      event('8.a1'),
      { id: '8.a2', topic: 'a', data: 'AP8=', encoding: 'base64' },
      { id: '8.a3', later: true },
    ),
  );
  const run = await open(t, { url, transports: ['chunked'] });
  await until('the last object', () => run.client.cursor === '8.a3');
  assert.deepEqual(requests.map(({ target }) => /cursor=([^&]*)/.exec(target)?.[1]), [undefined, '7.a2', '7.a5', '0.0']);
  assert.deepEqual(run.seen.slice(0, -1), [
    '7.a4', '7.b10', '7.a2', '7.a3', '7.b11', '7.b13', '7.a1', '7.a5', '7.a6', '7.b14', '7.b15',
    '0.0', '0.0', '0.0', '7.b20', '8.a1',
  ]);
  assert.deepEqual([...run.seen.at(-1)], [0, 255]);
  assert.deepEqual(run.gaps.map(({ id, reason }) => `${id} ${reason}`), ['7.b12 evicted', '7.0 evicted', '0.0 evicted', '8.0 epoch']);
});

test('probe that is refused for now is not repeated at once, and the live connection remains', async (t) => {
  globalThis.sessionStorage = { tidings: JSON.stringify({ sse: [Date.now() + 100, 30_000] }) };
  t.after(() => delete globalThis.sessionStorage);
  const { url, requests } = await script(t, (response, { url }) => {
    if (url.includes('transport=chunked')) return lines(hello)(response);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"retry_ms":50}\n\n');
  });
  const run = await open(t, { url, transports: ['sse', 'chunked'], stableAfter: 20 });
  await until('the probe', () => requests.length === 2);
  await until('the demotion is doubled', () => JSON.parse(sessionStorage.tidings).sse[1] === 60_000);
  assert.equal(run.client.transport, 'chunked');
  assert.equal(requests.length, 2);
});

test('state of a topic arrives, also when the topic is added', async (t) => {
  const state = `state/${topics++}`;
  for (const key of ['x', 'y', 'z']) await server.post(`/publish/${state}?key=${key}`, key);
  const run = await open(t, { transports: ['websocket'] });
  await opened(run);
  await run.source.publish(3);
  await until('the events', () => run.seen.length === 3);
  await run.client.setTopics([run.topic, state]);
  await server.post(`/publish/${state}?key=x`, 'X');
  await run.source.publish(1);
  await until('the later events', () => run.seen.length === 8);
  assert.deepEqual(run.seen, ['0', '1', '2', 'x', 'y', 'z', 'X', '3']);
});

test('pause disconnects, and resume continues at the cursor', async (t) => {
  const run = await open(t);
  await opened(run);
  await run.source.publish(5);
  await until('the events', () => run.seen.length === 5);
  run.client.pause();
  assert.equal(run.client.state, 'paused');
  await until('the connection ends', () => run.proxy.connections === 0);
  const { length } = run.proxy.requests;
  await run.source.publish(5);
  assert.equal(run.proxy.requests.length, length);
  run.client.resume();
  await complete(run);
});

test('close in a callback is obeyed at once', async (t) => {
  const { url } = await script(t, lines(hello, event('7.a1'), event('7.a2')));
  const run = await open(t, { url, transports: ['chunked'], onevent: ({ data }) => { run.seen.push(data); run.client.close(); } });
  await until('the client is closed', () => run.client.state === 'closed');
  assert.deepEqual(run.seen, ['7.a1']);
});
