"""Counts blocks, and answers queries with the count."""

from nexum import store


def on_block(block):
    store.set_json("blocks", store.get_json("blocks", 0) + 1)


def query(content):
    """`nexum query {{name}} --input ""` calls it."""
    return {"blocks": store.get_json("blocks", 0)}
