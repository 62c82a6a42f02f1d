// The types of `nexum.js`, for editors and type checkers.

export type Hex = string;
export type Json = unknown;

export type ErrorKind =
  | "unsupported"
  | "unavailable"
  | "denied"
  | "rate-limited"
  | "timeout"
  | "invalid-input"
  | "internal";

export class HostError extends Error {
  constructor(fields: { domain?: string; kind?: ErrorKind; code?: number; message?: string; data?: string | null });
  domain: string;
  kind: ErrorKind;
  code: number;
  data: string | null;
  get isRetryable(): boolean;
}

/** The argument of `onBlock`. `timestamp` is in milliseconds since the Unix epoch. */
export interface Block {
  chainId: number;
  number: number;
  hash: Hex;
  timestamp: number;
}

/** An element of the argument of `onLogs`. */
export interface Log {
  chainId: number;
  address: Hex;
  topics: Hex[];
  data: Hex;
  blockNumber: number;
  transactionHash: Hex;
  logIndex: number;
}

export const log: Record<"trace" | "debug" | "info" | "warn" | "error", (...values: unknown[]) => void>;

export interface Chain {
  id: number;
  request(method: string, params?: Json[]): any;
  batch(requests: [method: string, params?: Json[]][]): ({ value: any; error?: undefined } | { error: HostError })[];
  call(to: Hex, data: Hex, block?: string): Hex;
  balance(address: Hex, block?: string): bigint;
}

export function chain(id: number): Chain;

export const store: {
  get(key: string): Uint8Array | null;
  set(key: string, value: Uint8Array | string): void;
  getText(key: string): string | null;
  getJson<T = any>(key: string, absent?: T): T;
  setJson(key: string, value: Json): void;
  delete(key: string): void;
  keys(prefix?: string): string[];
};

export const identity: {
  accounts(): Hex[];
  sign(account: Hex, message: Uint8Array | string): Hex;
  signTypedData(account: Hex, data: Json): Hex;
};

export const cow: {
  request(chainId: number, method: string, path: string, body?: Json): any;
  quote(chainId: number, order: Json): any;
  submitOrder(chainId: number, order: Json): string;
};

export function randomBytes(length: number): Uint8Array;
export function toHex(bytes: Uint8Array): Hex;
export function fromHex(text: Hex): Uint8Array;
