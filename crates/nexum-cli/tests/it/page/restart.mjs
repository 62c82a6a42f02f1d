// The page stays open while the daemon restarts, and while its token changes.

import assert from "node:assert/strict";
import { enter, main, newPage, tell, told, until, url } from "./browser.mjs";

const live = () => document.querySelector(".connection")?.innerText.startsWith("live");
const events = (more) => import("/page/state.js").then(({ state }) => state.past("watch").events.length >= more);

await main(async (browser) => {
  // A browser logs each request that finds no server, and each that is refused.
  const page = await newPage(browser, { expected: /net::ERR_|status of 401/ });
  await enter(page);
  await until(page, "the connection", live);
  await until(page, "an event", events, 1);
  await until(page, "the module", () => document.querySelector(".modules tbody tr") != null);
  await page.evaluate(() => (globalThis.isOldPage = true));
  // The daemon that comes back has the files of another version.
  await page.route(`${url}/`, (route) => route.fulfill({ headers: { etag: '"another"' } }));
  tell("sees events");
  await told("restarted");
  await until(page, "the connection after the restart", live);
  const before = await page.evaluate(() =>
    import("/page/state.js").then(({ state }) => state.past("watch").events.length),
  );
  await until(page, "the next events", events, before + 2);
  assert.equal(await page.evaluate(() => globalThis.isOldPage), true);
  const streams = page.sent.filter((request) => request.url().includes("/v1/events"));
  const last = streams.map((request) => request.headers()["last-event-id"] ?? "none");
  assert.equal(last[0], "none");
  assert.match(last.at(-1), /^\d+$/, last.join(", "));
  await page.getByRole("button", { name: "The daemon has a new page: reload" }).waitFor();
  tell("sees events again");
  await told("another token");
  await page.getByLabel("Token").waitFor();
  assert.match(await page.locator("[role=alert]").innerText(), /does not know this token any more/);
  assert.deepEqual(page.faults, []);
});
