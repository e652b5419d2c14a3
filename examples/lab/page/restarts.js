import { count } from './ink.js';

const SHOWN = 5;

/** Restarts of the server's process, with the events that each panel lost or got twice over it. */
export class Restarts {
  constructor(root, panels) {
    this.root = root;
    this.rows = root.querySelector('tbody');
    this.panels = panels;
    this.all = [];
    this.pid = null;
    /** Way that was asked for, until the process has ended. */
    this.asked = null;
    this.counts = null;
  }

  /** Takes the process id of an answer. If it is a new one, everything since the last answer belongs to the restart. */
  seen(pid) {
    const counts = this.panels.map(counted);
    if (this.pid !== null && pid !== this.pid) {
      const before = this.all[0];
      if (before) before.until = this.counts;
      this.all.unshift({ at: new Date(), how: this.asked ?? 'from outside', from: this.pid, to: pid, since: this.counts, until: null });
      this.asked = null;
    }
    [this.pid, this.counts] = [pid, counts];
    this.draw();
  }

  /** Returns the restarts, the newest first, with the difference of each panel's counts. */
  get list() {
    const now = this.panels.map(counted);
    return this.all.map(({ at, how, from, to, since, until }) => ({
      at, how, from, to,
      panels: (until ?? now).map((counts, i) => ({
        letter: this.panels[i].letter,
        transport: this.panels[i].key,
        ...Object.fromEntries(Object.keys(counts).map((name) => [name, counts[name] - since[i][name]])),
      })),
    }));
  }

  draw() {
    this.root.hidden = !this.all.length;
    this.rows.replaceChildren(...this.list.slice(0, SHOWN).map((restart) => {
      const { at, how, from, to, panels } = restart;
      const sum = (name) => panels.reduce((sum, panel) => sum + panel[name], 0);
      const row = document.createElement('tr');
      const cell = (text, isBad = false) => {
        const cell = Object.assign(document.createElement('td'), { textContent: text });
        cell.classList.toggle('bad', isBad);
        row.append(cell);
      };
      cell(at.toLocaleTimeString());
      cell(how);
      cell(`${from} → ${to}`);
      cell(`${panels.filter(({ events }) => events > 0).length} of ${panels.length}`);
      cell(count(sum('events')));
      for (const name of ['lost', 'doubled', 'gaps']) cell(count(sum(name)), sum(name) > 0);
      return row;
    }));
  }
}

/** Returns the counts of a panel. A topic whose numbers begin again has used numbers twice. */
function counted({ tally }) {
  return { events: tally.events, lost: tally.missed, doubled: tally.duplicates + tally.renumbered, gaps: tally.gapCount };
}
