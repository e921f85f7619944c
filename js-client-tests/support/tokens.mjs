// Mints JSON Web Tokens for the conformance server.
import crypto from 'node:crypto';

const KEY = 'a-32-byte-or-longer-key-for-tests-only-0123456789';
const ISSUER = 'https://issuer.test';
const AUDIENCE = 'signalr-tests';

/** All tokens minted so far, oldest first. */
export const minted = [];

/** Returns an HS256 token. `expiresIn` is in seconds and may be negative. */
export function mint(claims = {}, { expiresIn = 3600, key = KEY, issuer = ISSUER, audience = AUDIENCE } = {}) {
  const expires = Math.floor(Date.now() / 1000) + expiresIn;
  const head = encode({ alg: 'HS256', typ: 'JWT' });
  const body = encode({ ...claims, iss: issuer, aud: audience, exp: expires });
  const signature = crypto.createHmac('sha256', key).update(`${head}.${body}`).digest('base64url');
  const token = `${head}.${body}.${signature}`;
  minted.push(token);
  return token;
}

export const nurse = { sub: 'nurse-1', role: 'Nurse', department: 'icu' };
export const doctor = { sub: 'doctor-1', role: 'Doctor', department: 'cardiology' };
export const admin = { sub: 'admin-1', role: 'Admin', department: 'office' };

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
