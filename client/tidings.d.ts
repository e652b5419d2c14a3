/** Name of a transport, as in `?transport=`. */
export type Transport = 'websocket' | 'sse' | 'chunked' | 'long-poll' | 'short-poll';

/** An event, or the removal of a key. */
export interface TidingsEvent {
  /** Cursor of the event. Absent if the source has no cursors. */
  id?: string;
  topic: string;
  /** Key that the event updates or removes, unique within its topic. */
  key?: string;
  /** Name of the event. */
  event?: string;
  /** Value of JSON, a string of text, or a `Uint8Array` of a binary payload. Absent in a removal. */
  data?: any;
  /** `true` in a removal. */
  removed?: true;
  /** `'base64'` if the payload was binary. `data` is decoded. */
  encoding?: 'base64';
}

/** Events are missing before those that follow. */
export interface Gap {
  id: string;
  reason: 'evicted' | 'overflow' | 'epoch' | 'invalid' | 'too_large' | (string & {});
  /** Number of missing events, `null` if it is not known. */
  missed: number | null;
  /** Absent if the events are of several topics. */
  topic?: string;
  /** `true` if a state follows in place of the events: forget the keys of `topic`, or of all topics. */
  snapshot?: true;
}

/** No event of this topic follows. */
export interface End {
  id: string;
  /** Absent if all topics had ended before. */
  topic?: string;
  reason?: 'done' | 'stopped' | 'failed' | (string & {});
}

/** Answer of the application to a message. */
export interface Answer {
  /** Name of the answer. */
  event?: string;
  /** Value of JSON, a string of text, or a `Uint8Array` of a binary payload. */
  data: any;
}

/** Failure of a connection, or rejection of a message. */
export interface TidingsError extends Error {
  /** HTTP status. */
  status?: number;
  /** Code of a rejected message, such as `'forbidden'`, or the close code of a WebSocket. */
  code?: string | number;
  /** Topics of a rejected change. */
  topics?: string[];
}

/**
 * - `connecting`: a transport is tried.
 * - `open`: events arrive over `transport`.
 * - `waiting`: the next attempt is in `delay` ms.
 * - `paused`: there is no connection until `resume()`, or until the page is visible again.
 * - `closed`: final. `reason` is `'ended'` after the end of all topics, `'failed'` after a refusal, which is `error`, and
 *   `'closed'` after `close()`.
 */
export interface StateChange {
  state: 'connecting' | 'open' | 'waiting' | 'paused' | 'closed';
  transport?: Transport;
  delay?: number;
  reason?: 'ended' | 'failed' | 'closed';
  error?: TidingsError;
}

export interface Options {
  /**
   * Topics, as `?topic=` of each request. Default: none, so the URL or the server selects them. Needed for `setTopics`; the
   * URL then has no `topic`.
   */
  topics?: string[];
  /** Cursor to resume after, for example one that the application stored. Default: none, so live events only. */
  cursor?: string | null;
  /**
   * Headers of each request, or a function that returns them, which is called for each attempt. A browser sends no headers
   * with a WebSocket, so `transports` is by default without it.
   */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>);
  /** Whether requests send cookies. Default: `'same-origin'`. */
  credentials?: RequestCredentials;
  /** Transports in the order in which they are tried. Default: all five, in the order of `Transport`. */
  transports?: Transport[];
  /** Least time before each reconnect, in ms. Default: 250. */
  minDelay?: number;
  /**
   * Limit of the random part of the first reconnect, in ms, doubled with each failure. Default: 1,000. The `retry` of a
   * stream replaces it.
   */
  delay?: number;
  /** Greatest limit of the random part, in ms. Default: 30,000. */
  maxDelay?: number;
  /** Time without a first frame after which another transport is tried in parallel, in ms. Default: 5,000. */
  slowAfter?: number;
  /** Time for which a connection must last before it counts as established, in ms. Default: 5,000. */
  stableAfter?: number;
  /** Time for which the server holds a long poll, in whole seconds. Default: 20. */
  wait?: number;
  /** Time after which a page that was hidden disconnects until it is visible, in ms. Default: never. */
  pauseHiddenAfter?: number;

  onevent?(event: TidingsEvent): void;
  ongap?(gap: Gap): void;
  onend?(end: End): void;
  onanswer?(answer: Answer): void;
  onstate?(change: StateChange): void;
  /** Reports each connection that failed, before the next attempt, and rejected messages of a WebSocket. */
  onerror?(error: TidingsError): void;
}

export interface Client {
  /** Position after the last event, to be stored for `Options.cursor`. `null` before the first connection. */
  readonly cursor: string | null;
  readonly state: StateChange['state'];
  /** Transport of the open connection. */
  readonly transport: Transport | undefined;
  /**
   * Sends a message to the application: text, bytes, or a value as JSON. Over a WebSocket if it is open, else by POST. The
   * answer is given to `onanswer`. A message over a WebSocket that is lost with its connection is not reported.
   *
   * Rejects with a `TidingsError` if a POST fails.
   */
  send(data: unknown): Promise<void>;
  /**
   * Replaces the topics. Over a WebSocket the connection remains, and of an added topic that has a state the whole state
   * arrives. Other transports reconnect at the cursor: of an added topic they get the events after it. Resolves when the
   * server has confirmed the topics. Rejects if it refuses them, in which case the old ones remain, or if another change
   * replaces this one.
   */
  setTopics(topics: Iterable<string>): Promise<void>;
  /** Disconnects until `resume()`, which continues at the cursor. */
  pause(): void;
  resume(): void;
  /** Disconnects permanently. */
  close(): void;
}

/**
 * Connects to an endpoint, and reconnects until `close()`, a refusal, or the end of all topics.
 *
 * @param url URL of the endpoint, relative to the page, or a function that returns it, which is called for each attempt.
 */
export function connect(url: string | URL | (() => string | URL | Promise<string | URL>), options?: Options): Client;
