"""Counts the transfers of tokens, and logs the large ones."""

from nexum import log, store

settings = {}


def init(config):
    settings["least"] = int(config["least"])


def on_logs(logs):
    for found in logs:
        amount = int(found.data, 16)
        if amount >= settings["least"]:
            log.info(f"block {found.block_number}: a transfer of {amount} of the token {found.address}")
    # nexum keeps the count when the module restarts.
    store.set_json("transfers", store.get_json("transfers", 0) + len(logs))
