import { TRANSPORTS, indexOf } from './transports/index.js';

const COLUMNS = 16;
const CELLS = 64;

/**
 * The keyed topic `cells`: each cell has a stripe for each panel that holds it now. A panel that connects gets the present
 * cells, and then each change.
 */
export class Cells {
  constructor(root, panels, send) {
    this.panels = panels;
    root.style.setProperty('--columns', COLUMNS);
    this.cells = Array.from({ length: CELLS }, (_, cell) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.onclick = () => send(cell, !panels.some(({ cells }) => cells.has(String(cell))));
      panels.forEach(() => button.append(document.createElement('i')));
      root.append(button);
      return button;
    });
    this.cells.forEach((_, cell) => this.show(String(cell)));
  }

  /** Shows the panels that hold a cell. */
  show(key) {
    const button = this.cells[key];
    if (!button) return;
    const holders = this.panels.filter(({ cells }) => cells.has(key));
    const order = holders.map((panel) => indexOf(panel.key));
    [...button.children].forEach((stripe, i) => {
      const panel = this.panels[i];
      stripe.className = holders.includes(panel) ? 'here' : '';
      stripe.style.setProperty('--own', `var(--${panel.key})`);
    });
    const by = holders.map(({ cells }) => cells.get(key).who)[0];
    button.title = holders.length ? `set by ${by}, held over ${order.map((i) => TRANSPORTS[i].short).join(', ')}` : '';
    button.setAttribute('aria-pressed', String(holders.length > 0));
    button.setAttribute('aria-label', `Cell ${Number(key) + 1}, in ${holders.length} of ${this.panels.length} panels`);
  }

  /** Shows the panels that hold each cell. */
  showAll() {
    this.cells.forEach((_, cell) => this.show(String(cell)));
  }
}
