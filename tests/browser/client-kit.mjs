// What the tests of the browser client share: the server as a process that can be killed and started again, a proxy that
// breaks transports, a publisher that counts, and the check that a client got each event once and in order.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

/** The transports, in the client's default order. */
export const TRANSPORTS = ['websocket', 'sse', 'chunked', 'long-poll', 'short-poll'];
/** Time within which a thing must come true, in ms. A busy machine is no failure. */
const PATIENCE = 30_000;

/** Waits until `holds()` returns a value that is not false, and returns it. */
export async function until(what, holds) {
  for (const deadline = Date.now() + PATIENCE; ; await pause(10)) {
    const result = await holds();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${PATIENCE} ms`);
  }
}

/** The server of server.rs, on a port that it keeps. It ends with this process. */
export class Server {
  static async open(program) {
    const server = new Server();
    server.program = program;
    server.directory = await mkdtemp(join(tmpdir(), 'client-'));
    server.port = 0;
    await server.start();
    return server;
  }

  async start() {
    this.process = spawn(this.program, [`127.0.0.1:${this.port}`, join(this.directory, 'hub')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.exited = new Promise((exited) => this.process.once('exit', exited));
    const lines = createInterface(this.process.stdout);
    const line = await Promise.race([
      new Promise((read) => lines.once('line', read)),
      this.exited.then(() => { throw new Error('the server did not start'); }),
    ]);
    this.port = Number(new URL(/http:\S+/.exec(line)[0]).port);
    this.url = `http://127.0.0.1:${this.port}`;
  }

  /** Ends the process, without a drain unless the signal is SIGINT. */
  async stop(signal = 'SIGKILL') {
    this.process.kill(signal);
    await this.exited;
  }

  async post(path, body) {
    const response = await fetch(this.url + path, { method: 'POST', body });
    if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  }

  async sessions() {
    return Number(await (await fetch(`${this.url}/sessions`)).text());
  }

  async close() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** A proxy to the server. A rule for a transport decides what becomes of its requests. */
export class Proxy {
  /** Rules by transport: `'block'` ends the connection, `'hang'` never answers, a number ends it so many ms after its answer began. */
  rules = {};
  /** Requests: transport, URL and time. */
  requests = [];
  /** Number of pieces that the server has sent. */
  pieces = 0;
  /** While set, no byte is passed on, in either direction. */
  isFrozen = false;
  #sockets = new Set();

  static async open(port) {
    const proxy = new Proxy();
    proxy.server = createServer((near) => proxy.#join(near, port));
    await new Promise((listening) => proxy.server.listen(0, '127.0.0.1', listening));
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  /** Returns the requests of one transport. */
  of(transport) {
    return this.requests.filter((request) => request.transport === transport);
  }

  get connections() {
    return this.#sockets.size;
  }

  /** Ends all connections. */
  cut() {
    this.#sockets.forEach((socket) => socket.destroy());
  }

  close() {
    this.cut();
    this.server.close();
  }

  #join(near, port) {
    const far = connect(port, '127.0.0.1');
    let rule;
    const end = () => [near, far].forEach((socket) => {
      this.#sockets.delete(socket);
      socket.destroy();
    });
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', end);
    }
    near.on('data', (bytes) => {
      const [, target] = /^[A-Z]+ (\/events\S*) HTTP/.exec(bytes.toString('latin1')) ?? [];
      if (target) {
        const transport = /[?&]transport=([\w-]+)/.exec(target)?.[1];
        this.requests.push({ transport, target, at: performance.now() });
        rule = this.rules[transport];
      }
      if (rule === 'block') return end();
      if (rule !== 'hang' && !this.isFrozen) far.write(bytes);
    });
    far.on('data', (bytes) => {
      this.pieces++;
      if (this.isFrozen) return;
      near.write(bytes);
      if (typeof rule === 'number') setTimeout(end, rule);
      rule = undefined;
    });
  }
}

/** Publishes numbers to a topic, from 0 on. */
export class Source {
  published = 0;

  constructor(server, topic) {
    this.server = server;
    this.topic = topic;
  }

  /** Publishes so many numbers. A server that is down is tried again. */
  async publish(count) {
    for (; count > 0; count--) {
      await until('the server accepts an event', () =>
        this.server.post(`/publish/${this.topic}`, String(this.published)).then(() => true, (error) => {
          if (!(error instanceof TypeError)) throw error;
        }));
      this.published++;
    }
  }
}

/** Returns the fault in a list of numbers that should be 0, 1, 2 and so on: `''` if there is none. */
export function fault(seen) {
  const at = seen.findIndex((number, index) => Number(number) !== index);
  return at < 0 ? '' : `${seen[at]} in place of ${at}, after ${seen.slice(Math.max(0, at - 5), at)}`;
}
