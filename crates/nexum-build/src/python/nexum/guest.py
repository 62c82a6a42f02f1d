"""Connects the exports of the contract with the handlers of a module.

The generated entry point and `nexum.testing` call it.
"""

import logging
import random
import traceback

import nexum
from nexum import Block, HostError, Log, Message, log, to_hex

# The error of a handler, made by the entry point from a `HostError`.
_fail = None


def connect(interfaces, fail):
    """Gives the module its host, and the exception that the host understands."""
    global _fail
    _fail = fail
    nexum.connect(interfaces)


def start(module, config):
    """Calls the module's `init` with its configuration as a dict."""
    # The generator would continue from the state at the build, with one sequence for every instance.
    random.seed()
    if hasattr(module, "init"):
        _attempt("init", module.init, dict(config))


def deliver(module, event):
    """Calls the handler of an event.

    An exception becomes a record of the log with its traceback, and the error that fails the event.
    """
    tag = type(event).__name__.removeprefix("Event_")
    name, argument = _HANDLERS[tag]
    _attempt(name, lambda: _handler(module, name)(argument(event.value)))


def answer(module, content):
    """Answers a query with the bytes or the text of the module's `query`. Other values become JSON."""

    def run():
        value = module.query(bytes(content))
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        return (value if isinstance(value, str) else nexum.json.dumps(value)).encode()

    return _attempt("query", run)


def _handler(module, name):
    if not hasattr(module, name):
        raise AttributeError(f"the module has a subscription for {name}, and does not define it")
    return getattr(module, name)


def _to_block(block):
    return Block(block.chain_id, block.number, to_hex(block.hash), block.timestamp)


def _to_logs(logs):
    return [
        Log(
            found.chain_id,
            to_hex(found.address),
            [to_hex(topic) for topic in found.topics],
            to_hex(found.data),
            found.block_number,
            to_hex(found.transaction_hash),
            found.log_index,
        )
        for found in logs
    ]


def _to_message(message):
    return Message(message.content_topic, message.payload, message.timestamp, message.sender)


# Each kind of event, with its handler and the argument made of the contract's value.
_HANDLERS = {
    "Block": ("on_block", _to_block),
    "Logs": ("on_logs", _to_logs),
    "Tick": ("on_tick", lambda tick: tick.fired_at),
    "Message": ("on_message", _to_message),
}


def _attempt(name, handler, *values):
    try:
        value = handler(*values)
        if hasattr(value, "__await__"):
            value.close()
            raise TypeError(f"{name} is async; the calls of the host are synchronous, and so are handlers")
        return value
    # `sys.exit` raises a SystemExit, which is no Exception.
    except BaseException as error:
        log.error(f"{name} failed: {_trace(error)}")
        failure = error if isinstance(error, HostError) else HostError(_title(error), domain="module")
        raise _fail(failure) from error


def _title(error):
    return "".join(traceback.format_exception_only(error)).strip()


def _trace(error):
    """The traceback with paths below the project, and without the lines of this file."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    return text.replace('File "/0/', 'File "').strip()


class _Records(logging.Handler):
    """Records of Python's `logging` as records of the module."""

    def emit(self, record):
        levels = [(40, log.error), (30, log.warn), (20, log.info), (10, log.debug), (0, log.trace)]
        write = next(write for least, write in levels if record.levelno >= least)
        write(self.format(record))


def install():
    """Sends the records of Python's `logging` to the operator."""
    logging.basicConfig(handlers=[_Records()], format="%(message)s", level=logging.DEBUG)
