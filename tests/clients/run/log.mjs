/** The server's log. */
export class Log {
  constructor(address) {
    this.address = address;
    this.entries = [];
  }

  async load() {
    const response = await fetch(`${this.address}/log`);
    this.entries = await response.json();
    const at = Number(response.headers.get('x-now'));
    this.now = at;
  }

  of(scenario, client) {
    return this.entries.filter(({ topic }) => topic === `${scenario}/${client}`);
  }

  /** Returns the time since the end or the cut of a topic in ms, or null before it. */
  since(scenario, client) {
    const mark = this.of(scenario, client).find(({ kind }) => kind === (scenario.startsWith('greet') ? 'cut' : 'finished'));
    return mark ? this.now - mark.at : null;
  }

  /** Returns what the server and the application saw of a client in one scenario. */
  result(scenario, client, window) {
    const entries = this.of(scenario, client);
    const requests = entries.filter(({ kind }) => kind === 'request');
    const mark = entries.find(({ kind }) => kind === 'finished' || kind === 'cut');
    const seen = entries.filter(({ kind, at }) => kind === 'seen' && !(at > mark?.at + window));
    if (!mark) return { started: false, requests: requests.length, seen: sights(seen) };
    const after = requests.filter(({ at }) => at > mark.at && at <= mark.at + window);
    const described = after.slice(0, 10).map(({ at, detail }) => ({
      ms: at - mark.at, status: detail.status, lastEventId: detail.lastEventId, query: detail.query,
    }));
    const common = { started: true, after: after.length, requests: described };
    if (mark.kind === 'finished') {
      const last = seen.findLastIndex(({ detail }) => JSON.stringify(detail).includes('second')) + 1;
      return { ...common, end: mark.detail, seen: sights(seen.slice(0, last)), seenAfter: sights(seen.slice(last)) };
    }
    const greeting = entries.find(({ kind }) => kind === 'greeting').detail;
    const id = /^id: (\S+)$/m.exec(greeting)?.[1] ?? null;
    const back = after[0];
    // Polyfills and npm packages name the parameter in different ways.
    const told = back && (back.detail.lastEventId || /last_?event_?id=([^&]*)/i.exec(back.detail.query ?? '')?.[1] || null);
    return { started: true, greeting, returns: after.length, ms: back && back.at - mark.at, id: told, kept: id !== null && told === id, requests: described, seen: sights(seen) };
  }
}

/** Returns reports as `type: data`, each run of equal ones once. */
function sights(entries) {
  const texts = entries.map(({ detail: { type, data } }) => (data === '' ? type : `${type}: ${typeof data === 'string' ? data : JSON.stringify(data)}`));
  const runs = [];
  for (const text of texts) {
    if (runs.at(-1)?.text === text) runs.at(-1).times++;
    else runs.push({ text, times: 1 });
  }
  return runs.map(({ text, times }) => (times > 1 ? `${text} (×${times})` : text));
}
