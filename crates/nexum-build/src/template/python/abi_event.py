"""Logs the events of the contract `{{contract}}`, and counts them."""

from nexum import log, store
from nexum.abi import decode

import events


def on_logs(logs):
    # nexum keeps the count when the module restarts.
    count = store.get_json("events", 0)
    for found in logs:
        # For one event: `events.{{event}}.decode(found)`.
        event, arguments = decode(events.EVENTS, found)
        if event is None:
            continue
        count += 1
        log.info(f"block {found.block_number}: {event.name} of {found.address} {arguments}")
    store.set_json("events", count)
