import { AbstractChat, DefaultChatTransport } from 'ai';

/** `useChat` with a stream that is the answer to a POST. */
export const aiPost = (url, options) => chat(url, options, (chat) => chat.sendMessage({ text: 'question' }));

/** `useChat` that takes up a stream in progress by a GET, as after a reload of the page. */
export const aiGet = (url, options) => chat(url, options, (chat) => chat.resumeStream());

/** The logic of `useChat` without its user interface. */
async function chat(url, { see }, act) {
  const api = `${url}${url.includes('?') ? '&' : '?'}transport=sse&events=chunks`;
  const transport = new DefaultChatTransport({ api, prepareReconnectToStreamRequest: () => ({ api }) });
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
  const chat = new (class extends AbstractChat {})({
    id: 'chat', state, transport, onError: (error) => see('error', String(error).slice(0, 60)),
  });
  await act(chat);
  const answers = chat.messages.filter(({ role }) => role === 'assistant').flatMap(({ parts }) => parts);
  see(`status ${chat.status}`, answers.map(({ text }) => text).join(' '));
}
