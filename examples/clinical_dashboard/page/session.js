// The session of the user, and its tokens.
//
// The access token and its refresh handle are kept only in the memory of this module: not in
// storage, in the URL or in the document. A reload discards them.

let session;

/** The session has ended on the server, and the user has to sign in again. */
export class SessionEnded extends Error {
  constructor() {
    super('The session has ended. Please sign in again.');
  }
}

/** Signs a person in and returns name, role and department. */
export async function signIn(person, shortLived) {
  const { token, expiresIn, refresh, ...user } = await post('/login', { person, shortLived });
  session = { user, refresh, refreshes: 0 };
  storeToken(token, expiresIn);
  return user;
}

/**
 * Returns the access token for a request; a new one if `fresh` is set or the current one expires
 * soon.
 */
export async function accessToken(fresh = false) {
  if (!session) throw new SessionEnded();
  if (fresh || isExpiringSoon(session)) {
    // Concurrent calls wait for the same refresh.
    session.refreshing ??= refreshToken(session);
    await session.refreshing;
  }
  if (!session) throw new SessionEnded();
  return session.token;
}

/** Returns the state of the access token, without the token itself. */
export function tokenState() {
  if (!session) return undefined;
  const left = Math.max(0, (session.expiresAt - Date.now()) / 1000);
  return { left, lifetime: session.lifetime, isExpiringSoon: isExpiringSoon(session), refreshes: session.refreshes };
}

/** Requests that the server cut the TCP connection of a hub connection of this user. */
export async function cutConnection(connectionId) {
  await post('/cut', { connectionId }, { authorization: `Bearer ${await accessToken()}` });
}

/** Ends the session in the page and on the server. */
export async function signOut() {
  const ended = session;
  session = undefined;
  if (ended) await post('/logout', { refresh: ended.refresh }).catch(() => {});
}

async function refreshToken(current) {
  try {
    const { token, expiresIn } = await post('/refresh', { refresh: current.refresh });
    if (session !== current) return;
    current.refreshes += 1;
    storeToken(token, expiresIn);
  } finally {
    current.refreshing = undefined;
  }
}

function storeToken(token, expiresIn) {
  Object.assign(session, { token, lifetime: expiresIn, expiresAt: Date.now() + expiresIn * 1000 });
}

/**
 * Whether the token is in the last quarter of its lifetime or in its last minute, whichever is
 * shorter.
 */
function isExpiringSoon({ expiresAt, lifetime }) {
  return expiresAt - Date.now() < Math.min(60, lifetime / 4) * 1000;
}

async function post(path, body, headers = {}) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    cache: 'no-store',
  });
  if (response.status === 401) throw new SessionEnded();
  if (!response.ok) throw new Error((await response.text()) || `The server responded with status ${response.status}.`);
  return response.status === 204 ? undefined : response.json();
}
