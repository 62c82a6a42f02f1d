// Numbers, times, words and commands for people. Every function is pure.

/** Characters that hide, reorder or imitate text. Line feeds and tabs stay. */
const HOSTILE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** A word that a shell takes literally. */
const PLAIN = /^[A-Za-z0-9_.@:][A-Za-z0-9_.@:-]*$/;

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const integer = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const date = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", timeZone: "UTC" });

/** Stands for a value that nexum does not know. */
export const UNKNOWN = "-";

/** The text of a module, an endpoint or a log, with hostile characters escaped. */
export function harmless(text) {
  return String(text).replace(HOSTILE, (found) => `\\u{${found.codePointAt(0).toString(16)}}`);
}

/** The first line of a text, of at most `most` characters. */
export function firstLine(text, most = 240) {
  const line = String(text ?? "").split("\n", 1)[0];
  return line.length > most ? `${line.slice(0, most)}...` : line;
}

export function count(number) {
  return number == null ? UNKNOWN : integer.format(number);
}

/** `1 module`, `2 modules`. */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A large number in three digits: `12.3M`. */
export function short(number) {
  if (number == null) return UNKNOWN;
  return number < 10_000 ? integer.format(number) : compact.format(number);
}

/** Events a second. */
export function rate(number) {
  if (number == null) return UNKNOWN;
  if (number === 0) return "0";
  return number < 10 ? number.toFixed(number < 1 ? 2 : 1) : integer.format(number);
}

export function percent(share) {
  if (share == null) return UNKNOWN;
  const percent = share * 100;
  return percent > 0 && percent < 1 ? "< 1 %" : `${Math.round(percent)} %`;
}

export function bytes(number) {
  if (number == null) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; number >= 1_024 && unit < units.length - 1; unit += 1) number /= 1_024;
  return `${unit > 0 && number < 10 ? number.toFixed(1) : integer.format(number)} ${units[unit]}`;
}

/** A duration in milliseconds, in its two largest units. */
export function span(ms) {
  if (ms == null) return UNKNOWN;
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAY) return two(ms, HOUR, "h", MINUTE, "min");
  return two(ms, DAY, "d", HOUR, "h");
}

function two(ms, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((ms % large) / small);
  const first = `${Math.floor(ms / large)} ${largeUnit}`;
  return rest === 0 ? first : `${first} ${rest} ${smallUnit}`;
}

/** A duration in microseconds. */
export function micros(us) {
  if (us == null) return UNKNOWN;
  if (us < 1_000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 100_000 ? 1 : 0)} ms`;
  return span(us / 1_000);
}

/** A time of today as `14:02:05`, another one with its day. In UTC, as in the log. */
export function clock(ms, now = Date.now()) {
  if (ms == null) return UNKNOWN;
  const time = iso(ms).slice(11, 19);
  return iso(ms).slice(0, 10) === iso(now).slice(0, 10) ? time : `${date.format(ms)}, ${time}`;
}

/** The time as the log on stderr has it. */
export function iso(ms) {
  // The largest time that a date can have.
  return new Date(Math.min(Number(ms), 8.64e15)).toISOString();
}

/** A word of the API, for people: `waiting_for_chain`. */
export function words(word) {
  return String(word).replaceAll("_", " ");
}

/** A command of the command line. Null if a shell takes one of the words for more than a word. */
export function command(...parts) {
  return parts.every((part) => PLAIN.test(part) || /^--[a-z-]+$/.test(part)) ? ["nexum", ...parts].join(" ") : null;
}

/** The kind at the end of an event's id: `block`, `logs` or `tick`. */
export function kindOf(event) {
  return String(event).split(":").pop();
}

/** An event's id without its kind. */
export function placeOf(event) {
  return String(event).split(":").slice(0, -1).join(":") || String(event);
}
