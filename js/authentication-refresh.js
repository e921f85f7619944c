// Newer credentials for a connection of @microsoft/signalr 8 to 10, without a reconnect: what the client of version 11
// does by itself, on the public API of its predecessors.
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
//   refresh.onRefreshed((lifetime) => console.log('good for', lifetime, 'seconds'));
//   refresh.onRefreshFailed((error) => console.warn(error));
//
// The server says in its answer to the negotiation how long the token is good, if refreshes are on there. Then a new token
// of the factory goes to `{hub}/refresh` in time, and all later requests carry it. The connection, its id and its groups
// stay as they are.

/**
 * @typedef {object} AuthenticationRefreshOptions
 * @property {(fresh: boolean) => string | Promise<string>} accessTokenFactory Gives the token, as in the options of
 *   `withUrl`; one that is new, or good for longer than the one before, where `fresh` is `true`.
 * @property {boolean} [enableAutoRefresh] Whether it happens by itself, in time; `true` by default.
 * @property {number} [refreshBeforeExpirationInMilliseconds] How long before the end of a token; 300,000, which are five
 *   minutes, by default. Tokens that live no longer than twice that are refreshed after half of their life.
 * @property {import('@microsoft/signalr').HttpClient} [httpClient] What sends the requests; the client's own by default.
 */

/** How long the server may take for its answer. */
const TIMEOUT_MS = 30_000;

/** The longest that timers can wait. */
const LONGEST_WAIT_MS = 0x7fffffff;

/** What a server answers to a poll whose credentials have expired. */
const REQUIRED = 'authentication_refresh_required';

/** Refreshes the credentials of one connection, through all of its reconnects. */
export class AuthenticationRefresh {
  #signalR;
  #options;
  #http;
  #connection;
  /** What is negotiated: `{ url, headers, connectionToken, token, expiresAt, withCredentials }`. */
  #negotiated;
  #timer;
  #refreshing;
  #refreshed = [];
  #failed = [];

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
   * What `withUrl` takes: `options`, with a token factory and an HTTP client that take part in refreshes. An
   * `accessTokenFactory` and an `httpClient` of one's own are given to the constructor: those among `options` are not used.
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
   * Stops when the connection does. Call it before `start`.
   *
   * @param {import('@microsoft/signalr').HubConnection} connection
   */
  attach(connection) {
    this.#connection = connection;
    connection.onreconnecting(() => this.#forget());
    connection.onclose(() => this.#forget());
  }

  /** @param {(tokenLifetimeSeconds: number | undefined) => void} callback Called after each refresh. */
  onRefreshed(callback) {
    this.#refreshed.push(callback);
  }

  /** @param {(error: Error) => void} callback Called when a refresh fails; the connection lives on as it is. */
  onRefreshFailed(callback) {
    this.#failed.push(callback);
  }

  /**
   * Refreshes now.
   *
   * @returns {Promise<number | undefined>} How many seconds the new token is good for, if the server says so.
   * @throws {Error} Also told to `onRefreshFailed`. `statusCode` is the server's, if it has answered.
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
      for (const callback of this.#refreshed) callback(lifetime);
      return lifetime;
    } catch (error) {
      // Nobody has refused it, so it may go better next time.
      if (negotiated && error.statusCode === undefined) this.#retry(negotiated);
      for (const callback of this.#failed) callback(error);
      throw error;
    }
  }

  /** One request of the client's, whose token may be replaced by a newer one. */
  async #send(request) {
    const url = new URL(request.url, globalThis.location?.href);
    if (url.pathname.endsWith('/negotiate')) {
      this.#forget();
      const response = await this.#http.send(request);
      this.#note(url, request, response);
      return response;
    }
    const negotiated = this.#negotiated;
    const send = () => this.#http.send(negotiated?.token ? withToken(request, negotiated.token) : request);
    try {
      return await send();
    } catch (error) {
      if (!negotiated || !(await this.#mayRepeat(error, negotiated))) throw error;
      return send();
    }
  }

  /** Whether a request that was refused may pass with a newer token, which there is then. */
  async #mayRepeat(error, negotiated) {
    if (error.statusCode === 401) {
      negotiated.token = await this.#options.accessTokenFactory(true);
      return true;
    }
    if (error.statusCode !== 409 || !error.message.includes(REQUIRED)) return false;
    return this.refresh().then(() => true, () => false);
  }

  /** Remembers what there is to refresh, if the server refreshes anything. */
  #note(url, request, response) {
    const { connectionToken, tokenLifetimeSeconds, url: elsewhere } = JSON.parse(text(response.content));
    if (elsewhere || !connectionToken) return;
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
    const wait = lifetime * 1000 > 2 * before ? lifetime * 1000 - before : lifetime * 500;
    this.#timer = setTimeout(() => this.#due(), Math.min(wait, LONGEST_WAIT_MS));
    // Where a start fails nobody says so; Node need not wait for the timer then.
    this.#timer.unref?.();
  }

  #retry(negotiated) {
    const left = (negotiated.expiresAt - Date.now()) / 1000;
    if (left > 1) this.#schedule(negotiated, left);
  }

  #due() {
    const { Connected, Connecting } = this.#signalR.HubConnectionState;
    // One that never opened tells nobody.
    if (this.#connection && ![Connected, Connecting].includes(this.#connection.state)) return;
    // Whoever wants to know listens.
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
