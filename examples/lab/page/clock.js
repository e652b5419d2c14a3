/**
 * The server's clock, as well as a page can know it. On the machine the server runs on the two are the same clock; on
 * another one the difference is measured, and used only where it is larger than the measurement's own doubt.
 */
let offset = 0;

const here = () => performance.timeOrigin + performance.now();

/** Milliseconds since 1970 by the server's clock. */
export const serverNow = () => here() + offset;

/** Measures the difference anew: of five askings the quickest is the best. */
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
