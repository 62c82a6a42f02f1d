"""Keeps the price of gas, and counts the transfers of tokens."""

import json
import urllib.request
from datetime import datetime, timezone

from nexum import chain, log, store

WEI_PER_GWEI = 1_000_000_000

# The settings. nexum calls `init` for each instance, so a variable may hold them; what must last is
# in the store.
settings = {}


def init(config):
    settings["limit"] = float(config["warn_above_gwei"])
    settings["report_url"] = config.get("report_url")


def on_block(block):
    price = int(chain(block.chain_id).request("eth_gasPrice"), 16) / WEI_PER_GWEI
    seen = store.get_json("gas", {"blocks": 0, "highest": 0})
    store.set_json("gas", {"blocks": seen["blocks"] + 1, "highest": max(seen["highest"], price)})
    if price > settings["limit"]:
        log.warn(f"block {block.number}: gas costs {price:g} gwei")


def on_logs(logs):
    store.set_json("transfers", store.get_json("transfers", 0) + len(logs))
    for found in logs:
        log.info(f"block {found.block_number}: a transfer of {found.address}")


def on_tick(fired_at):
    """Reports once after each block."""
    report = summary()
    if report["blocks"] in (0, store.get_json("reported", 0)):
        return
    store.set_json("reported", report["blocks"])
    log.info(datetime.fromtimestamp(fired_at / 1_000, timezone.utc).isoformat(), json.dumps(report))
    if settings["report_url"]:
        send(report)


def query(_):
    return summary()


def summary():
    return store.get_json("gas", {"blocks": 0, "highest": 0}) | {"transfers": store.get_json("transfers", 0)}


def send(report):
    request = urllib.request.Request(
        settings["report_url"],
        data=json.dumps(report).encode(),
        headers={"content-type": "application/json"},
    )
    # An answer that is no 2xx raises an exception, so that nexum retries the event.
    urllib.request.urlopen(request)
