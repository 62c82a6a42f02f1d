// Every view in light and dark, wide and narrow, with mouse and keys; and hostile text.

import assert from "node:assert/strict";
import { enter, go, isSound, main, newPage, screenshot, token, until, url } from "./browser.mjs";

const MARKUP = "<img src=x onerror=alert(1)>";

/** The views with a text that each shows when it is complete. */
const VIEWS = [
  ["module", "#/modules/work", "blocks of 11155111"],
  ["failing", "#/modules/panic", "Last failures"],
  ["queries", "#/modules/echo", "0 answered"],
  ["dead-letters", "#/dead-letters", "nexum dead-letter show panic"],
  ["logs", "#/logs", "dead letter"],
  ["audit", "#/audit", "log_level_set"],
  ["overview", "#/", "things need you"],
];

const has = (text) => document.body.innerText.includes(text);

await main(async (browser) => {
  await needsTheToken(browser);
  const page = await newPage(browser);
  await enter(page);
  await showsWhatNeedsYou(page);
  await showsAModule(page);
  await showsHostileTextAsText(page);
  await followsTheLog(page);
  await obeysKeys(page);
  await page.context().close();
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, width] of [
      ["wide", 1_280],
      ["narrow", 390],
    ]) {
      const page = await newPage(browser, { width, colorScheme });
      await isSound(page, `token, ${colorScheme}, ${size}`);
      await enter(page);
      for (const [name, address, text] of VIEWS) {
        await go(page, address);
        await until(page, `${text} at ${address}`, has, text);
        await isSound(page, `${name}, ${colorScheme}, ${size}`);
        await screenshot(page, `${name}-${size}-${colorScheme}`);
      }
      if (size === "narrow") await showsCards(page);
      await page.context().close();
    }
  }
});

async function needsTheToken(browser) {
  const page = await newPage(browser, { expected: /status of 401/ });
  await enter(page, token.replaceAll("0", "1"));
  await until(page, "the refusal", has, "This is not the token");
  assert.equal(await page.locator("nx-overview").count(), 0);
  const asked = page.sent.filter((request) => request.url().includes("/v1/"));
  assert.equal(asked.length, 1);
  await enter(page);
  await until(page, "the overview", has, "Modules");
  // The address stays free of it, also after a reload, which needs no new entry.
  assert.equal(new URL(page.url()).search, "");
  await page.reload();
  await until(page, "the overview", has, "Modules");
  await page.getByRole("button", { name: "Forget the token" }).click();
  await page.reload();
  await page.getByLabel("Token").waitFor();
  assert.equal(
    await page.evaluate(() => JSON.stringify([...Object.values(sessionStorage), ...Object.values(localStorage)])),
    "[]",
  );
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

async function showsWhatNeedsYou(page) {
  await until(page, "the needs", has, "nexum dead-letter list panic");
  await until(page, "the refused module", has, "nexum check");
  await page.getByRole("button", { name: "Copy nexum dead-letter list panic" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "nexum dead-letter list panic");
  const chain = page.locator(".chains tbody tr").first();
  assert.match(await chain.innerText(), /^11155111\s+in use\s+[\d,]+/);
  // A rate needs two looks, and its line follows.
  const line = () =>
    [...document.querySelectorAll(".modules nx-spark path")].some((path) => /L/.test(path.getAttribute("d") ?? ""));
  await until(page, "a sparkline", line);
}

async function showsAModule(page) {
  await page.getByRole("link", { name: "work", exact: true }).click();
  for (const text of ["Where its time goes", "store_operations_per_event", "blocks of 11155111", "block", "handled"]) {
    await until(page, text, has, text);
  }
  const drawn = () => document.querySelectorAll("nx-chart canvas").length === 3;
  await until(page, "the charts", drawn);
  const bar = () => document.querySelectorAll(".waterfall li [data-part=ran]").length > 2;
  await until(page, "the waterfall", bar);
  await page.locator(".waterfall summary").first().click();
  const explained = () => document.querySelector(".explained")?.innerText.includes("handled");
  await until(page, "what the event did", explained);
  await isSound(page, "an open event");
}

/** The texts come from a file name, a manifest and a reason. */
async function showsHostileTextAsText(page) {
  for (const [address, text] of [
    ["#/", `${MARKUP}.wasm`],
    ["#/modules/blocks", MARKUP],
    ["#/audit", MARKUP],
    ["#/logs", MARKUP],
  ]) {
    await go(page, address);
    await until(page, `${text} at ${address}`, has, text);
    assert.equal(await page.locator("img, script:not([src])").count(), 0, address);
  }
  await go(page, "#/modules/blocks");
  await until(page, "the escaped character", has, "\\u{202e}daer");
  await go(page, `#/modules/${encodeURIComponent(MARKUP)}`);
  await until(page, "the unknown name", has, "There is no such module");
  await go(page, "#/modules/%E0%A4%A");
  await until(page, "the name that is not encoded", has, "%E0%A4%A");
  // A path is no word of a command.
  await go(page, "#/");
  await until(page, "the refused module", has, "nexum check");
  const commands = await page.locator("nx-command code").allInnerTexts();
  assert.ok(
    commands.every((command) => /^nexum [a-z0-9 :-]+$/.test(command)),
    commands.join("\n"),
  );
  assert.deepEqual(page.faults, []);
}

async function followsTheLog(page) {
  await go(page, "#/logs");
  const first = page.locator(".logs tbody tr").first();
  const before = await first.innerText();
  const changed = (before) => document.querySelector(".logs tbody tr")?.innerText !== before;
  await until(page, "the next record", changed, before);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Continue" }).waitFor();
  await page.getByLabel("Level").selectOption("error");
  await page.getByRole("button", { name: "Continue" }).click();
  const errors = () => {
    const rows = [...document.querySelectorAll(".logs tbody tr")];
    return rows.length > 0 && rows.every((row) => row.dataset.level === "error");
  };
  await until(page, "only errors", errors);
}

async function obeysKeys(page) {
  const isOpen = (view) => document.querySelector("main").firstChild?.localName === view;
  const focused = (text) => document.activeElement?.innerText === text;
  await page.keyboard.press("1");
  await until(page, "the overview", isOpen, "nx-overview");
  await until(page, "the modules", has, "echo");
  // Markup sorts after the names.
  await page.keyboard.press("j");
  await until(page, "the focus on the first module", focused, "blocks");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await until(page, "the focus on the second module", focused, "echo");
  await page.keyboard.press("Enter");
  await until(page, "the module", isOpen, "nx-module");
  assert.equal(page.url(), `${url}/#/modules/echo`);
  await page.keyboard.press("Escape");
  await until(page, "the overview", isOpen, "nx-overview");
  for (const [key, view] of [
    ["2", "nx-letters"],
    ["4", "nx-audit"],
    ["3", "nx-logs"],
  ]) {
    await page.keyboard.press(key);
    await until(page, view, isOpen, view);
  }
  await page.keyboard.press("/");
  await page.keyboard.type("4 no such record");
  await until(page, "no record", has, "No record so far.");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  await until(page, "the keys", () => document.querySelector("dialog").open);
  await isSound(page, "the keys");
  await page.keyboard.press("Escape");
  await until(page, "no keys", () => !document.querySelector("dialog").open);
  await page.reload();
  await until(page, "the logs", isOpen, "nx-logs");
  await page.keyboard.press("Tab");
  await until(page, "the link to the content", focused, "Skip the menu");
  await page.keyboard.press("Enter");
  await until(page, "the content", () => document.activeElement?.id === "main");
  assert.equal(page.url(), `${url}/#/logs`);
}

async function showsCards(page) {
  await go(page, "#/");
  await until(page, "the modules", has, "echo");
  const [row, label] = await page.evaluate(() => {
    const cell = document.querySelector(".modules td.number");
    return [getComputedStyle(cell.parentElement).display, getComputedStyle(cell, "::before").content];
  });
  assert.deepEqual([row, label], ["grid", '"Behind"']);
}
