// The connection to the hub: its state, its invocations, and the wards to rejoin after a reconnect.

import { AuthenticationRefresh } from './authentication-refresh.js';
import { SessionEnded } from './session.js';

const { signalR } = window;
const { HubConnectionBuilder, HubConnectionState, LogLevel } = signalR;

/**
 * Delays before the attempts to reconnect, in milliseconds. The connection closes after the last.
 */
const RETRY_DELAYS_MS = [0, 2000, 10000, 30000];

/** Prefix of the text of a hub error. */
const HUB_EXCEPTION_PREFIX = /^.*? HubException: /;

export class DashboardConnection {
  /** The wards that the user watches. A new connection is in no group, so it has to rejoin them. */
  wards = new Set();
  #connection;
  #report;
  /**
   * Whether the last attempt failed, perhaps because of its token. The next attempt uses a new
   * token.
   */
  #needsNewToken = false;

  /**
   * `accessToken(fresh)` returns the token of each new connection, a new one if `fresh` is set.
   * `handlers` are the methods that the server invokes. `report` has the callbacks `state(text,
   * connectionId)`, `event(kind, text)`, `denied(action, reason)`, `left(ward)` and
   * `sessionEnded(error)`.
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
          this.#needsNewToken = previousRetryCount > 0;
          return RETRY_DELAYS_MS[previousRetryCount] ?? null;
        },
      })
      // At its default level the client logs URLs, which contain the token.
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
      this.#needsNewToken = true;
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

  /** Subscribes to a ward. The server denies wards of other departments. */
  async subscribe(ward) {
    try {
      await this.#connection.invoke('SubscribeToWard', ward);
      this.wards.add(ward);
      this.#report.event('good', `Subscribed to ${ward}`);
      return true;
    } catch (error) {
      this.#report.denied(`Watch ${ward}`, reason(error));
      return false;
    }
  }

  async leave(ward) {
    this.wards.delete(ward);
    await this.#connection.invoke('LeaveWard', ward);
    this.#report.event('plain', `Left ${ward}`);
  }

  /**
   * Orders a drug and returns the order. Throws an error with the server's reason if it is denied.
   */
  async order(patientId, drugName) {
    try {
      return await this.#connection.invoke('OrderMedication', patientId, drugName);
    } catch (error) {
      this.#report.denied(`Order ${drugName}`, reason(error));
      throw new Error(reason(error), { cause: error });
    }
  }

  /** Called for each negotiate request and each WebSocket, and with `refresh` for each refresh. */
  async #token(accessToken, refresh) {
    const fresh = refresh || this.#needsNewToken;
    this.#needsNewToken = false;
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
  return error.message.replace(HUB_EXCEPTION_PREFIX, '');
}
