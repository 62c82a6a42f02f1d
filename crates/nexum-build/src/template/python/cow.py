"""Asks the CoW Protocol order book for a price every few blocks, and logs it."""

from nexum import HostError, cow, log

# The trader of a request that only asks for a price.
TRADER = "0x1111111111111111111111111111111111111111"

settings = {}


def init(config):
    settings.update(config, every=int(config["every"]))


def on_block(block):
    if block.number % settings["every"] != 0:
        return
    order = {
        "kind": "sell",
        "sellToken": settings["sell_token"],
        "buyToken": settings["buy_token"],
        "sellAmountBeforeFee": settings["sell_amount"],
        "from": TRADER,
        "priceQuality": "optimal",
    }
    try:
        quote = cow.quote(block.chain_id, order)["quote"]
    except HostError as error:
        # A later block asks again, so a retry of this event gains nothing.
        log.warn(f"block {block.number}: no price: {error}")
        return
    log.info(f"block {block.number}: {quote['sellAmount']} buy {quote['buyAmount']}")
