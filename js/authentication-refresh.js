// Authentication refresh for @microsoft/signalr 8 to 10: replaces the credentials of an open
// connection without a reconnect. The client has this feature from version 11 on; this module uses
// the public API of the earlier versions.
//
//   import * as signalR from '@microsoft/signalr'; // or window.signalR
//   import { AuthenticationRefresh } from './authentication-refresh.js';
//
//   const refresh = new AuthenticationRefresh(signalR, { accessTokenFactory: (fresh) => accessToken(fresh) });
//   const connection = new signalR.HubConnectionBuilder()
//     .withUrl('/hubs/clinical', refresh.connectionOptions())
//     .withAutomaticReconnect()
//     .build();
//   refresh.attach(connection);
//   refresh.onRefreshed((lifetime) => console.log('token lifetime in seconds:', lifetime));
//   refresh.onRefreshFailed((error) => console.warn(error));
//
// If refreshes are enabled on the server, its negotiate response contains the lifetime of the
// token. Before the token expires, this module sends a new token from the factory to
// `{hub}/refresh`, and all later requests use it. The connection keeps its id and its groups.

/**
 * @typedef {object} AuthenticationRefreshOptions
 * @property {(fresh: boolean) => string | Promise<string>} accessTokenFactory Returns the token, as
 *   in the options of `withUrl`. If `fresh` is `true`, it has to return a new token, or one that
 *   expires later than the one before.
 * @property {boolean} [enableAutoRefresh] Refreshes automatically before the token expires; `true`
 *   by default.
 * @property {number} [refreshBeforeExpirationInMilliseconds] Time between the refresh and the
 *   expiration of the token; 300,000 (five minutes) by default. Tokens whose lifetime is at most
 *   twice that are refreshed after half of it.
 * @property {import('@microsoft/signalr').HttpClient} [httpClient] Sends the requests; the client's
 *   default otherwise.
 */

/** Timeout of a refresh request. */
const TIMEOUT_MS = 30_000;

/** Longest delay of `setTimeout`. */
const MAX_TIMER_MS = 0x7fffffff;

/** Error of a poll whose credentials have expired. */
const REFRESH_REQUIRED = 'authentication_refresh_required';

/** Refreshes the credentials of one connection, including its reconnects. */
export class AuthenticationRefresh {
  #signalR;
  #options;
  #http;
  #connection;
  /**
   * The current connection: `{ url, headers, connectionToken, token, expiresAt, withCredentials }`.
   */
  #negotiated;
  #timer;
  #refreshing;
  #refreshedCallbacks = [];
  #failedCallbacks = [];

  /**
   * @param {typeof import('@microsoft/signalr')} signalR The client's module, or `window.signalR`.
   * @param {AuthenticationRefreshOptions} options
   */
  constructor(signalR, options) {
    this.#signalR = signalR;
    this.#options = { enableAutoRefresh: true, refreshBeforeExpirationInMilliseconds: 300_000, ...options };
    this.#http = options.httpClient ?? new signalR.DefaultHttpClient(signalR.NullLogger.instance);
  }

  /**
   * Returns the options for `withUrl`: `options` with a token factory and an HTTP client that
   * support refreshes. Pass your own `accessTokenFactory` and `httpClient` to the constructor;
   * those in `options` are ignored.
   *
   * @param {import('@microsoft/signalr').IHttpConnectionOptions} [options]
   * @returns {import('@microsoft/signalr').IHttpConnectionOptions}
   */
  connectionOptions(options = {}) {
    const send = (request) => this.#send(request);
    const cookies = (url) => this.#http.getCookieString(url);
    const httpClient = new (class extends this.#signalR.HttpClient {
      send(request) {
        return send(request);
      }
      getCookieString(url) {
        return cookies(url);
      }
    })();
    return { ...options, accessTokenFactory: () => this.#options.accessTokenFactory(false), httpClient };
  }

  /**
   * Stops refreshes when `connection` closes or reconnects. Call it before `start`.
   *
   * @param {import('@microsoft/signalr').HubConnection} connection
   */
  attach(connection) {
    this.#connection = connection;
    connection.onreconnecting(() => this.#forget());
    connection.onclose(() => this.#forget());
  }

  /**
   * @param {(tokenLifetimeSeconds: number | undefined) => void} callback Called after each refresh.
   */
  onRefreshed(callback) {
    this.#refreshedCallbacks.push(callback);
  }

  /**
   * @param {(error: Error) => void} callback Called when a refresh fails. The connection stays
   * open.
   */
  onRefreshFailed(callback) {
    this.#failedCallbacks.push(callback);
  }

  /**
   * Refreshes now.
   *
   * @returns {Promise<number | undefined>} The lifetime of the new token in seconds, if the server
   *   returns it.
   * @throws {Error} The error that `onRefreshFailed` receives as well. `statusCode` is that of the
   *   response, if any.
   */
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const negotiated = this.#negotiated;
    try {
      if (!negotiated) throw new Error('There is no negotiated connection whose credentials could be refreshed.');
      const token = await this.#options.accessTokenFactory(true);
      const { content } = await this.#http.send(withToken({
        method: 'POST',
        url: negotiated.url,
        content: '',
        headers: { ...negotiated.headers, 'X-SignalR-Connection-Token': negotiated.connectionToken },
        timeout: TIMEOUT_MS,
        withCredentials: negotiated.withCredentials,
      }, token));
      const lifetime = JSON.parse(text(content)).tokenLifetimeSeconds;
      negotiated.token = token;
      this.#schedule(negotiated, lifetime);
      for (const callback of this.#refreshedCallbacks) callback(lifetime);
      return lifetime;
    } catch (error) {
      // The server has not rejected the refresh, so it is retried.
      if (negotiated && error.statusCode === undefined) this.#retry(negotiated);
      for (const callback of this.#failedCallbacks) callback(error);
      throw error;
    }
  }

  /** Sends a request of the client with the latest token. */
  async #send(request) {
    const url = new URL(request.url, globalThis.location?.href);
    if (url.pathname.endsWith('/negotiate')) {
      this.#forget();
      const response = await this.#http.send(request);
      this.#remember(url, request, response);
      return response;
    }
    const negotiated = this.#negotiated;
    const send = () => this.#http.send(negotiated?.token ? withToken(request, negotiated.token) : request);
    try {
      return await send();
    } catch (error) {
      if (!negotiated || !(await this.#renewToken(error, negotiated))) throw error;
      return send();
    }
  }

  /** Obtains a new token if `error` requires one. Returns whether the request can be repeated. */
  async #renewToken(error, negotiated) {
    if (error.statusCode === 401) {
      negotiated.token = await this.#options.accessTokenFactory(true);
      return true;
    }
    if (error.statusCode !== 409 || !error.message.includes(REFRESH_REQUIRED)) return false;
    return this.refresh().then(() => true, () => false);
  }

  /** Stores the new connection and schedules its refresh if the server supports it. */
  #remember(url, request, response) {
    const { connectionToken, tokenLifetimeSeconds, url: redirectUrl } = JSON.parse(text(response.content));
    if (redirectUrl || !connectionToken) return;
    url.pathname = url.pathname.replace(/negotiate$/, 'refresh');
    for (const name of ['negotiateVersion', 'useStatefulReconnect']) url.searchParams.delete(name);
    const { headers, withCredentials } = request;
    this.#negotiated = { url: url.href, headers, connectionToken, withCredentials };
    this.#schedule(this.#negotiated, tokenLifetimeSeconds);
  }

  #schedule(negotiated, lifetime) {
    clearTimeout(this.#timer);
    if (negotiated !== this.#negotiated || !(lifetime > 0)) return;
    negotiated.expiresAt = Date.now() + lifetime * 1000;
    if (!this.#options.enableAutoRefresh) return;
    const before = this.#options.refreshBeforeExpirationInMilliseconds;
    const delay = lifetime * 1000 > 2 * before ? lifetime * 1000 - before : lifetime * 500;
    this.#timer = setTimeout(() => this.#onDue(), Math.min(delay, MAX_TIMER_MS));
    // A failed `start` causes no event, so the timer must not keep Node running.
    this.#timer.unref?.();
  }

  #retry(negotiated) {
    const left = (negotiated.expiresAt - Date.now()) / 1000;
    if (left > 1) this.#schedule(negotiated, left);
  }

  #onDue() {
    const { Connected, Connecting } = this.#signalR.HubConnectionState;
    // A connection that failed to start causes no `onclose`.
    if (this.#connection && ![Connected, Connecting].includes(this.#connection.state)) return;
    // `onRefreshFailed` reports errors.
    this.refresh().catch(() => {});
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#negotiated = undefined;
  }
}

function withToken(request, token) {
  return { ...request, headers: { ...request.headers, Authorization: `Bearer ${token}` } };
}

function text(content) {
  return typeof content === 'string' ? content : new TextDecoder().decode(content);
}
