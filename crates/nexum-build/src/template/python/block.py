"""Logs the price of gas at each block, and counts the blocks."""

from nexum import chain, log, store


def on_block(block):
    price = int(chain(block.chain_id).request("eth_gasPrice"), 16)
    # nexum keeps the count when the module restarts.
    count = store.get_json("blocks", 0) + 1
    store.set_json("blocks", count)
    log.info(f"block {block.number}: gas costs {price} wei; {count} blocks so far")
