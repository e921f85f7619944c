// Who is signed in, and their tokens.
//
// The access token and the handle that refreshes it live in this module's memory and nowhere else: not in storage, not
// in the URL, not in the document. A reload forgets them.

let session;

/** The server no longer knows this session: somebody has to sign in again. */
export class SessionEnded extends Error {
  constructor() {
    super('The session has ended. Please sign in again.');
  }
}

/** Signs a person in and tells who that is: name, role and department. */
export async function signIn(person, shortLived) {
  const { token, expiresIn, refresh, ...who } = await post('/login', { person, shortLived });
  session = { who, refresh, refreshes: 0 };
  keep(token, expiresIn);
  return who;
}

/** The access token for the next request; a new one if `fresh`, or if the current one is about to expire. */
export async function accessToken(fresh = false) {
  if (!session) throw new SessionEnded();
  if (fresh || isExpiringSoon(session)) {
    // Whoever else asks meanwhile waits for the same answer.
    session.refreshing ??= refreshToken(session);
    await session.refreshing;
  }
  if (!session) throw new SessionEnded();
  return session.token;
}

/** How the access token is doing: its age, and nothing that tells the token. */
export function tokenState() {
  if (!session) return undefined;
  const left = Math.max(0, (session.expiresAt - Date.now()) / 1000);
  return { left, lifetime: session.lifetime, isExpiringSoon: isExpiringSoon(session), refreshes: session.refreshes };
}

/** Asks the server to cut the TCP connection of one of this person's own hub connections. */
export async function cut(connectionId) {
  await post('/cut', { connectionId }, { authorization: `Bearer ${await accessToken()}` });
}

/** Forgets everything, here and on the server. */
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
    keep(token, expiresIn);
  } finally {
    current.refreshing = undefined;
  }
}

function keep(token, expiresIn) {
  Object.assign(session, { token, lifetime: expiresIn, expiresAt: Date.now() + expiresIn * 1000 });
}

/** In its last quarter, or its last minute: whichever is shorter. */
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
  if (!response.ok) throw new Error((await response.text()) || `The server answered ${response.status}.`);
  return response.status === 204 ? undefined : response.json();
}
