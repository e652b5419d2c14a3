import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Returns the versions of all clients, by the name of the package or program. */
export async function versions(target, hosts) {
  const folder = join(import.meta.dirname, '..');
  const npm = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')).dependencies;
  const found = Object.fromEntries(Object.entries(npm).map(([name, version]) => [name, version.split('@').at(-1)]));
  for (const line of (await readFile(join(folder, 'requirements.txt'), 'utf8')).trim().split('\n')) {
    const [name, version] = line.split('==');
    found[name] = version;
  }
  const lock = await readFile(join(folder, 'rust/Cargo.lock'), 'utf8');
  for (const name of ['reqwest-eventsource', 'eventsource-client', 'tokio-tungstenite']) {
    found[`rust ${name}`] = new RegExp(`name = "${name}"\nversion = "([^"]*)"`).exec(lock)?.[1];
  }
  found.Chromium = said(process.env.CHROMIUM ?? 'chromium', '--version');
  found.Firefox = said('firefox-esr', '--version');
  found.WebKitGTK = said('/usr/bin/python3', '-c', 'import gi; gi.require_version("WebKit2", "4.1"); from gi.repository import WebKit2 as w; print(w.get_major_version(), w.get_minor_version(), w.get_micro_version(), sep=".")');
  found.Node = said(hosts.node, '--version');
  found.Python = said(hosts.python, '--version');
  found.curl = said('curl', '--version');
  return found;
}

function said(program, ...args) {
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return /\d+(\.\d+)+/.exec(stdout ?? '')?.[0] ?? null;
}
