import { AbstractChat, DefaultChatTransport } from 'ai';

/** Returns a transport that takes a stream in progress from `url`. */
function transport(url) {
  const api = `${url}${url.includes('?') ? '&' : '?'}events=chunks`;
  return new DefaultChatTransport({ prepareReconnectToStreamRequest: () => ({ api }) });
}

/** The reader below `useChat`: a stream of chunks. */
export async function aiTransport(url, { see }) {
  const chunks = await transport(url).reconnectToStream({ chatId: 'chat' });
  if (chunks === null) return see('no stream');
  for await (const chunk of chunks) see('chunk', JSON.stringify(chunk));
  see('returned');
}

/** The logic of `useChat` without its user interface. */
export async function aiChat(url, { see }) {
  const state = {
    status: 'ready',
    error: undefined,
    messages: [],
    pushMessage(message) {
      this.messages = [...this.messages, message];
    },
    popMessage() {
      this.messages = this.messages.slice(0, -1);
    },
    replaceMessage(index, message) {
      this.messages = this.messages.with(index, message);
    },
    snapshot: structuredClone,
  };
  class Chat extends AbstractChat {}
  const chat = new Chat({ id: 'chat', state, transport: transport(url), onError: (error) => see('error', String(error)) });
  const resumed = async () => {
    await chat.resumeStream();
    see(`status ${chat.status}`, JSON.stringify(chat.messages.map(({ parts }) => parts)));
  };
  await resumed();
}
