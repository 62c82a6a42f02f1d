"""Counts the transfers of tokens, and logs the large ones."""

from nexum import log, store

settings = {}


def init(config):
    settings["least"] = int(config["least"])


def on_logs(logs):
    # A token of ERC-721 has an event with this signature, and a fourth topic in place of the amount.
    transfers = [found for found in logs if len(found.topics) == 3]
    for found in transfers:
        amount = int(found.data, 16)
        if amount >= settings["least"]:
            log.info(f"block {found.block_number}: a transfer of {amount} of the token {found.address}")
    # nexum keeps the count when the module restarts.
    store.set_json("transfers", store.get_json("transfers", 0) + len(transfers))
