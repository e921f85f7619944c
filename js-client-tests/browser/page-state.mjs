/** Returns all places of `page` where a secret could be left, as texts by name. */
export async function readPageState(page) {
  const inPage = await page.evaluate(async () => ({
    url: location.href,
    history: JSON.stringify(history.state),
    name: window.name,
    cookies: document.cookie,
    local: JSON.stringify({ ...localStorage }),
    session: JSON.stringify({ ...sessionStorage }),
    databases: JSON.stringify((await indexedDB.databases?.()) ?? []),
    document: document.documentElement.outerHTML,
  }));
  return { ...inPage, allCookies: JSON.stringify(await page.context().cookies()) };
}
