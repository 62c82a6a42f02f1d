// 200 modules that handle a block each second.

import assert from "node:assert/strict";
import { enter, go, isSound, main, newPage, screenshot, until } from "./browser.mjs";

/** The events of all modules on the page in this test. */
const EVENTS = 2_000;

await main(async (browser) => {
  const page = await newPage(browser);
  await enter(page);
  await until(page, "a row for each module", () => document.querySelectorAll(".modules tbody tr").length === 200);
  await until(page, "that all is well", () => document.querySelector("h1").innerText.startsWith("All is well since"));
  const rates = () => {
    const shown = [...document.querySelectorAll('.modules [data-label="Events/s"]')].map((cell) =>
      Number(cell.innerText),
    );
    return shown.reduce((sum, rate) => sum + (rate || 0), 0) >= 100;
  };
  await until(page, "100 events a second", rates);
  const many = (events) =>
    import("/page/state.js").then(({ state }) => state.past("watch-000").events.length >= events / 200);
  await until(page, `${EVENTS} events`, many, EVENTS);
  // The stream lost none of them.
  assert.doesNotMatch(await page.locator(".connection").innerText(), /lost/);
  await page.keyboard.press("/");
  await page.keyboard.type("watch-07");
  await until(page, "the filtered modules", () => document.querySelectorAll(".modules tbody tr").length === 10);
  await isSound(page, "200 modules");
  await page.getByLabel("Filter modules").fill("");
  await screenshot(page, "crowd-wide-light");
  await go(page, "#/modules/watch-123");
  await until(page, "the events of the module", () => document.querySelectorAll(".waterfall > li").length > 1);
  assert.ok((await page.locator(".waterfall > li").count()) <= 40);
  await isSound(page, "a module of 200");
});
