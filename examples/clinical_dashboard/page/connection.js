// The connection to the hub: its state, its calls, and the wards to join again when it comes back.

import { AuthenticationRefresh } from './authentication-refresh.js';
import { SessionEnded } from './session.js';

const { signalR } = window;
const { HubConnectionBuilder, HubConnectionState, LogLevel } = signalR;

/** The waits before each attempt to reconnect, in milliseconds. Then it is given up. */
const RETRIES = [0, 2000, 10000, 30000];

/** What the server puts before the text of an error that it lets the client read. */
const HUB_EXCEPTION = /^.*? HubException: /;

export class DashboardConnection {
  /** The wards this person watches. Groups belong to one connection, so each new connection joins them again. */
  wards = new Set();
  #connection;
  #report;
  /** The last attempt failed, perhaps for its token: the next one gets a new token. */
  #inDoubt = false;

  /**
   * `accessToken(fresh)` gives the token of each new connection, an unused one if `fresh`. `handlers` are what the server calls. `report` is told of
   * `state(text, connectionId)`, `event(kind, text)`, `refused(what, why)`, `left(ward)` and `sessionEnded()`.
   */
  constructor({ accessToken, handlers, report }) {
    this.#report = report;
    const refresh = new AuthenticationRefresh(signalR, {
      accessTokenFactory: (fresh) => this.#token(accessToken, fresh),
    });
    this.#connection = new HubConnectionBuilder()
      .withUrl('/hubs/clinical', refresh.connectionOptions())
      .withAutomaticReconnect({
        nextRetryDelayInMilliseconds: ({ previousRetryCount }) => {
          this.#inDoubt = previousRetryCount > 0;
          return RETRIES[previousRetryCount] ?? null;
        },
      })
      // At its usual level the client logs the URLs it opens, and with them the token.
      .configureLogging(LogLevel.Warning)
      .build();
    refresh.attach(this.#connection);
    refresh.onRefreshed(() => report.event('good', 'The connection has the new token'));
    refresh.onRefreshFailed((error) => report.event('warning', `The token was not refreshed: ${error.message}`));
    for (const [name, handler] of Object.entries(handlers)) this.#connection.on(name, handler);

    this.#connection.onreconnecting((error) => {
      report.state('Reconnecting');
      report.event('warning', `Connection lost, reconnecting. ${error?.message ?? ''}`.trim());
    });
    this.#connection.onreconnected(async (connectionId) => {
      report.state('Connected', connectionId);
      report.event('good', `Reconnected as ${connectionId}`);
      await this.#rejoin();
    });
    this.#connection.onclose((error) => {
      this.#inDoubt = true;
      report.state('Disconnected');
      report.event(error ? 'bad' : 'plain', error ? `Connection closed: ${error.message}` : 'Connection closed');
    });
  }

  get connectionId() {
    return this.#connection.connectionId;
  }

  async start() {
    if (this.#connection.state !== HubConnectionState.Disconnected) return;
    this.#report.state('Connecting');
    try {
      await this.#connection.start();
      this.#report.state('Connected', this.#connection.connectionId);
      this.#report.event('good', `Connected as ${this.#connection.connectionId}`);
      await this.#rejoin();
    } catch (error) {
      this.#report.state('Disconnected');
      this.#report.event('bad', error.message);
    }
  }

  async stop() {
    await this.#connection.stop();
  }

  /** Watches a ward. The server refuses those of other departments. */
  async subscribe(ward) {
    try {
      await this.#connection.invoke('SubscribeToWard', ward);
      this.wards.add(ward);
      this.#report.event('good', `Subscribed to ${ward}`);
      return true;
    } catch (error) {
      this.#report.refused(`Watch ${ward}`, reason(error));
      return false;
    }
  }

  async leave(ward) {
    this.wards.delete(ward);
    await this.#connection.invoke('LeaveWard', ward);
    this.#report.event('plain', `Left ${ward}`);
  }

  /** Orders a drug; resolves with the order, and throws the server's reason if it refuses. */
  async order(patientId, drugName) {
    try {
      return await this.#connection.invoke('OrderMedication', patientId, drugName);
    } catch (error) {
      this.#report.refused(`Order ${drugName}`, reason(error));
      throw new Error(reason(error), { cause: error });
    }
  }

  /** Called for each negotiation and each WebSocket, when connecting and reconnecting, and, `wanted` fresh, for each refresh. */
  async #token(accessToken, wanted) {
    const fresh = wanted || this.#inDoubt;
    this.#inDoubt = false;
    try {
      return await accessToken(fresh);
    } catch (error) {
      if (error instanceof SessionEnded) this.#report.sessionEnded(error);
      throw error;
    }
  }

  async #rejoin() {
    for (const ward of [...this.wards]) {
      if (await this.subscribe(ward)) continue;
      this.wards.delete(ward);
      this.#report.left(ward);
    }
  }
}

function reason(error) {
  return error.message.replace(HUB_EXCEPTION, '');
}
