/**
 * The server's clock, as measured by the page. On the server's machine the two clocks are the same. On another machine the
 * difference is measured, and used only if it is larger than the error of the measurement.
 */
let offset = 0;

const here = () => performance.timeOrigin + performance.now();

/** Returns the milliseconds since 1970 by the server's clock. */
export const serverNow = () => here() + offset;

/** Measures the difference again: the fastest of five requests is the most exact. */
export async function synchronise() {
  let best = { trip: Infinity, offset: 0 };
  for (let i = 0; i < 5; i++) {
    const sent = here();
    const { t } = await (await fetch('/clock', { cache: 'no-store' })).json();
    const trip = here() - sent;
    if (trip < best.trip) best = { trip, offset: t - (sent + trip / 2) };
  }
  offset = Math.abs(best.offset) > best.trip / 2 ? best.offset : 0;
}
