// What the client is run over.

/** Each transport, and the hub protocols it can carry: events are text, so they carry no binary one. */
const MATRIX = {
  WebSockets: ['json', 'messagepack'],
  ServerSentEvents: ['json'],
  LongPolling: ['json', 'messagepack'],
};

export const TRANSPORTS = Object.keys(MATRIX);
export const FORMATS = ['json', 'messagepack'];

/** Every `{ transport, protocol }` there is of `transports`. */
export function pairs(transports = TRANSPORTS) {
  return transports.flatMap((transport) => MATRIX[transport].map((protocol) => ({ transport, protocol })));
}
