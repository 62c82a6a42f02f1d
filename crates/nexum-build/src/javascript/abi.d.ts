// The types of `abi.js`, for editors and type checkers.

import type { Log } from "./nexum.js";

/** Numbers are `bigint`, `bool` is `boolean`, and other values are texts. */
export type Arguments = Record<string, any>;

export type Input = [name: string, type: string] | [name: string, type: string, indexed: "indexed"];

export class Event {
  constructor(name: string, signature: string, topic: string, inputs: Input[]);
  name: string;
  signature: string;
  topic: string;
  decode(log: Log): Arguments | null;
}

export function decode(events: Event[], log: Log): { name: string; args: Arguments } | null;
