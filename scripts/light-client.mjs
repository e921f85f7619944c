// A small client for load programs, of which one process holds thousands.
import WebSocket from 'ws';

const RECORD_SEPARATOR = '\x1e';

/** A client of the hub of `examples/conformance` that parses no more of a message than it needs. */
export class Client {
  #socket;
  #completions = new Map();
  #calls = 0;
  messages = 0;
  onMessage = () => {};

  static async connect(url) {
    const client = new Client();
    client.#socket = new WebSocket(`${url.replace(/^http/, 'ws')}/conformance`);
    const opened = new Promise((resolve, reject) => {
      client.#socket.on('error', reject);
      client.#socket.once('close', () => {
        reject(new Error('closed'));
        for (const { reject } of client.#completions.values()) reject(new Error('closed'));
      });
      client.#socket.on('message', (data) => {
        for (const message of String(data).split(RECORD_SEPARATOR).slice(0, -1)) {
          if (message === '{}') resolve();
          else client.#receive(message);
        }
      });
    });
    client.#socket.once('open', () => client.#send({ protocol: 'json', version: 1 }));
    await opened;
    return client;
  }

  invoke(target, ...args) {
    const id = String((this.#calls += 1));
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error('closed'));
    return new Promise((resolve, reject) => {
      this.#completions.set(id, { resolve, reject });
      this.#send({ type: 1, invocationId: id, target, arguments: args });
    });
  }

  onClosed(listener) {
    this.#socket.once('close', listener);
  }

  close() {
    this.#socket.close();
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message) + RECORD_SEPARATOR);
  }

  #receive(text) {
    if (text.startsWith('{"type":1,')) {
      this.messages += 1;
      this.onMessage();
    } else if (text.startsWith('{"type":3,')) {
      const { invocationId, result, error } = JSON.parse(text);
      const { resolve, reject } = this.#completions.get(invocationId);
      this.#completions.delete(invocationId);
      if (error) reject(new Error(error));
      else resolve(result);
    }
  }
}
