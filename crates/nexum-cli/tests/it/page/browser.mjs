// A browser with the operator's page, and what the scripts expect of it in every state.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { NEXUM_BROWSER_PACKAGES, NEXUM_CHROMIUM, PAGE_SCREENSHOTS, PAGE_TOKEN, PAGE_URL } = process.env;
const require = createRequire(`${NEXUM_BROWSER_PACKAGES}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** The longest wait for anything: far longer than a slow machine needs. */
const WAIT_MS_MAX = 60_000;

/** The pause between two looks at the page. */
const LOOK_EVERY_MS = 50;

export const url = PAGE_URL;
export const token = PAGE_TOKEN;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Waits for a line of the test. */
export async function told(line) {
  assert.equal((await lines.next()).value, line);
}

/** Tells the test. */
export function tell(line) {
  console.error(line);
}

/** Runs a script with a browser. The process fails if the script does. */
export async function main(script) {
  const browser = await chromium.launch({ executablePath: NEXUM_CHROMIUM });
  try {
    await script(browser);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
    lines.return?.();
    process.stdin.destroy();
  }
}

/** A page that notes its faults: errors, requests to other servers, and a token in a URL. */
export async function newPage(browser, { width = 1_280, height = 900, colorScheme = "light", expected = /^$/ } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    permissions: ["clipboard-read", "clipboard-write"],
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS_MAX);
  page.faults = [];
  page.sent = [];
  page.on("console", (message) => {
    const text = `${message.text()} ${message.location().url}`;
    // A daemon without a ledger does not know this path.
    const isNone = /status of 404 .*\/history\?/.test(text) || expected.test(text);
    if (["error", "warning"].includes(message.type()) && !isNone) page.faults.push(text);
  });
  page.on("pageerror", (error) => page.faults.push(error.stack));
  page.on("dialog", (dialog) => page.faults.push(`a dialog: ${dialog.message()}`));
  page.on("request", (request) => {
    page.sent.push(request);
    if (!request.url().startsWith(`${url}/`)) page.faults.push(`a request to ${request.url()}`);
    if (request.url().includes(token)) page.faults.push(`the token is in ${request.url()}`);
  });
  await page.goto(`${url}/`);
  return page;
}

/** Enters the token. */
export async function enter(page, entered = token) {
  await page.getByLabel("Token").fill(entered);
  await page.keyboard.press("Enter");
}

/** Opens a view, as a link does. */
export async function go(page, address) {
  await page.evaluate((address) => (location.hash = address), address);
}

/** Waits until the function returns a true value, or a promise of one. `waitForFunction` takes any promise for true. */
export async function until(page, what, condition, argument) {
  const deadline = Date.now() + WAIT_MS_MAX;
  while (!(await page.evaluate(condition, argument))) {
    if (Date.now() > deadline) {
      const shown = await page.evaluate(() => document.body.innerText);
      throw new Error(`not seen: ${what}\n${shown}`);
    }
    await page.waitForTimeout(LOOK_EVERY_MS);
  }
}

/** Expects that axe finds nothing, that the page fits its screen, and that there were no faults. */
export async function isSound(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join("\n")}`);
  assert.deepEqual(found, [], what);
  const [needed, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(needed <= width, `${what}: ${needed} pixels on a screen of ${width}`);
  assert.deepEqual(page.faults, [], what);
}

export async function screenshot(page, name) {
  await page.screenshot({ path: `${PAGE_SCREENSHOTS}/${name}.png`, fullPage: true });
}
