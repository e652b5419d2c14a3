import EventSource2 from 'eventsource2';
import { createEventSource } from 'eventsource-client';
import { EventSource as EventSource4 } from 'eventsource4';
import { EventSource as EventSource5 } from 'eventsource5';
import { EventSource as UndiciEventSource } from 'undici';

export const eventsource2 = (url, options) => follow(new EventSource2(url), options);
export const eventsource4 = (url, options) => follow(new EventSource4(url), options);
export const eventsource5 = (url, options) => follow(new EventSource5(url), options);
export const undici = (url, options) => follow(new UndiciEventSource(url), options);
/** Needs `--experimental-eventsource` up to Node 24. */
export const builtin = (url, options) => follow(new EventSource(url), options);

function follow(source, { stop, see }) {
  source.onmessage = ({ data }) => see('message', data);
  source.onerror = () => see('error', `readyState ${source.readyState}`);
  if (stop) {
    source.addEventListener('tidings.end', () => {
      source.close();
      see('closed');
    });
  }
}

export async function eventsourceClient(url, { stop, see }) {
  const source = createEventSource({ url, onDisconnect: () => see('disconnected') });
  for await (const { data, event } of source) {
    see(event || 'message', data);
    if (stop && event === 'tidings.end') {
      source.close();
      break;
    }
  }
}
