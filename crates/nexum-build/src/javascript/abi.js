// Decodes logs as the events of an ABI. `nexum new --abi` writes the list of events into
// `src/events.js`; a module imports this file as "#nexum/abi".

import { fromHex } from "./nexum.js";

// The length of a word of the encoding, in hex digits.
const WORD = 64;

// The data of a log ends too early.
class Malformed extends Error {}

// Reads the values of a log in the order of the event.
class Reader {
  #topics;
  #data;
  // The position of the next word, in hex digits.
  #at = 0;

  constructor({ topics, data }) {
    this.#topics = topics.slice(1);
    this.#data = data.slice(2);
  }

  topic() {
    return this.#topics.shift().slice(2);
  }

  // The next words, as hex digits.
  words(count) {
    const words = this.#slice(this.#at, count * WORD);
    this.#at += words.length;
    return words;
  }

  // The bytes of a `bytes` or `string`, as hex digits.
  dynamic() {
    const start = this.#offset();
    const length = this.#size(this.#slice(start, WORD));
    return this.#slice(start + WORD, length);
  }

  // The data from the start of a value to its end, as hex digits.
  rest() {
    const start = this.#offset();
    return this.#slice(start, this.#data.length - start);
  }

  #offset() {
    return this.#size(this.words(1));
  }

  // A number of bytes in a word, as a number of hex digits.
  #size(word) {
    const size = 2n * BigInt("0x" + word);
    if (size > this.#data.length) throw new Malformed();
    return Number(size);
  }

  #slice(start, length) {
    if (start + length > this.#data.length) throw new Malformed();
    return this.#data.slice(start, start + length);
  }
}

const text = (digits) => new TextDecoder().decode(fromHex(digits));

// Types of one word, with the value of its digits. Bits beyond the type are ignored.
const WORDS = [
  [/^uint(\d+)$/, (word, bits) => BigInt.asUintN(bits, BigInt("0x" + word))],
  [/^int(\d+)$/, (word, bits) => BigInt.asIntN(bits, BigInt("0x" + word))],
  [/^bytes(\d+)$/, (word, size) => "0x" + word.slice(0, 2 * size)],
  [/^address$/, (word) => "0x" + word.slice(-40)],
  [/^bool$/, (word) => /[^0]/.test(word)],
];

// The function that reads a value of the type.
function decoder(type, isIndexed) {
  if (type === "bytes") return (reader) => "0x" + reader.dynamic();
  if (type === "string") return (reader) => text(reader.dynamic());
  if (type === "raw") return (reader) => "0x" + reader.rest();
  const [, count] = /^raw(\d+)$/.exec(type) ?? [];
  if (count !== undefined) return (reader) => "0x" + reader.words(Number(count));
  for (const [pattern, value] of WORDS) {
    const found = pattern.exec(type);
    if (found === null) continue;
    const size = Number(found[1]);
    return (reader) => value(isIndexed ? reader.topic() : reader.words(1), size);
  }
  throw new TypeError(`no type of an event: ${type}`);
}

// An event of an ABI. An input is `[name, type]`, or `[name, type, "indexed"]`. Beside the types of
// Solidity that have one value there are "raw", the encoding of a dynamic type up to the end of the
// data, and "raw2", the encoding of a static type of two words.
export class Event {
  #inputs;
  #topics;

  constructor(name, signature, topic, inputs) {
    this.name = name;
    this.signature = signature;
    // The first topic of the event's logs.
    this.topic = topic;
    this.#inputs = inputs.map(([key, type, indexed]) => [key, decoder(type, indexed === "indexed")]);
    this.#topics = 1 + inputs.filter(([, , indexed]) => indexed === "indexed").length;
  }

  // The arguments by name, or null if the log is no such event. Numbers are BigInts, other values
  // are texts, bytes as hex.
  decode(log) {
    if (log.topics[0] !== this.topic || log.topics.length !== this.#topics) return null;
    const reader = new Reader(log);
    try {
      return Object.fromEntries(this.#inputs.map(([key, read]) => [key, read(reader)]));
    } catch (error) {
      if (error instanceof Malformed) return null;
      throw error;
    }
  }
}

// The first of the events that the log is, with its arguments: `{ name, args }`, or null.
export function decode(events, log) {
  for (const event of events) {
    const args = event.decode(log);
    if (args !== null) return { name: event.name, args };
  }
  return null;
}
