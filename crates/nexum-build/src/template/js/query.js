// Counts blocks, and answers queries with the count.

import { store } from "#nexum";

export function onBlock() {
  store.setJson("blocks", store.getJson("blocks", 0) + 1);
}

// `nexum query {{name}} --input ""` calls it.
export function query() {
  return { blocks: store.getJson("blocks", 0) };
}
