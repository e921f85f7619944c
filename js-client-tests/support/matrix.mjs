// The combinations of transport and hub protocol that the tests run with.

/**
 * The hub protocols of each transport. Server-Sent Events carry text, so they have no binary
 * protocol.
 */
const MATRIX = {
  WebSockets: ['json', 'messagepack'],
  ServerSentEvents: ['json'],
  LongPolling: ['json', 'messagepack'],
};

export const TRANSPORTS = Object.keys(MATRIX);
export const PROTOCOLS = ['json', 'messagepack'];

/** Returns every supported `{ transport, protocol }` with a transport of `transports`. */
export function combinations(transports = TRANSPORTS) {
  return transports.flatMap((transport) => MATRIX[transport].map((protocol) => ({ transport, protocol })));
}
