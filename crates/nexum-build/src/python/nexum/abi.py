"""Decodes logs as the events of an ABI. `nexum new --abi` writes the list of events into `events.py`."""

import re

from nexum import from_hex, to_hex

_WORD = 32


class _Malformed(Exception):
    """The data of a log ends too early."""


class _Reader:
    """Reads the values of a log in the order of the event."""

    def __init__(self, log):
        self._topics = iter(log.topics[1:])
        self._data = from_hex(log.data)
        self._at = 0

    def topic(self):
        return from_hex(next(self._topics))

    def words(self, count=1):
        words = self._slice(self._at, count * _WORD)
        self._at += len(words)
        return words

    def dynamic(self):
        """The bytes of a `bytes` or `string`."""
        start = _number(self.words())
        size = _number(self._slice(start, _WORD))
        return self._slice(start + _WORD, size)

    def rest(self):
        """The data from the start of a value to its end."""
        start = _number(self.words())
        return self._slice(start, max(len(self._data) - start, 0))

    def _slice(self, start, size):
        if start + size > len(self._data):
            raise _Malformed
        return self._data[start : start + size]


def _number(word):
    return int.from_bytes(word, "big")


def _signed(word, bits):
    value = _number(word) % (1 << bits)
    return value - (1 << bits) if value >> (bits - 1) else value


# Types of one word, with the value of its bytes. Bits beyond the type are ignored.
_WORDS = [
    (r"uint(\d+)", lambda word, bits: _number(word) % (1 << bits)),
    (r"int(\d+)", _signed),
    (r"bytes(\d+)", lambda word, size: to_hex(word[:size])),
    (r"address()", lambda word, _: to_hex(word[-20:])),
    (r"bool()", lambda word, _: any(word)),
]


def _decoder(kind, is_indexed):
    """The function that reads a value of the type."""
    if kind == "bytes":
        return lambda reader: to_hex(reader.dynamic())
    if kind == "string":
        return lambda reader: reader.dynamic().decode(errors="replace")
    if kind == "raw":
        return lambda reader: to_hex(reader.rest())
    if found := re.fullmatch(r"raw(\d+)", kind):
        return lambda reader: to_hex(reader.words(int(found[1])))
    for pattern, value in _WORDS:
        if found := re.fullmatch(pattern, kind):
            size = int(found[1] or 0)
            return lambda reader: value(reader.topic() if is_indexed else reader.words(), size)
    raise TypeError(f"no type of an event: {kind}")


class Event:
    """An event of an ABI.

    An input is `(name, type)`, or `(name, type, "indexed")`. Beside the types of Solidity that have
    one value there are "raw", the encoding of a dynamic type up to the end of the data, and "raw2",
    the encoding of a static type of two words.
    """

    def __init__(self, name, signature, topic, inputs):
        self.name = name
        self.signature = signature
        # The first topic of the event's logs.
        self.topic = topic
        self._inputs = [(key, _decoder(kind, bool(indexed))) for key, kind, *indexed in inputs]
        self._topics = 1 + sum(len(item) == 3 for item in inputs)

    def decode(self, log):
        """The arguments by name, or None if the log is no such event. Bytes and addresses are hex."""
        if len(log.topics) != self._topics or log.topics[0] != self.topic:
            return None
        reader = _Reader(log)
        try:
            return {key: read(reader) for key, read in self._inputs}
        except _Malformed:
            return None


def decode(events, log):
    """The first of the events that the log is, and its arguments. Two times None if it is none."""
    for event in events:
        arguments = event.decode(log)
        if arguments is not None:
            return event, arguments
    return None, None
