"""Reads the balance of an account every ten seconds, and logs each change."""

from nexum import chain, log, store

settings = {}


def init(config):
    settings["account"] = config["account"]


def on_tick(fired_at):
    account = settings["account"]
    balance = str(chain(31337).balance(account))
    if balance == store.get_text("balance"):
        return
    # nexum keeps the balance when the module restarts.
    store.set("balance", balance)
    log.info(f"{account} has {balance} wei")
