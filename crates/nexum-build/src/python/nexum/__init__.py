"""The host's functions for modules in Python. `nexum build` writes this package to
`build/nexum`.

The host can be called while a handler runs, and not while the module's file is loaded: that happens
once, when the component is built.
"""

import json
import re
from dataclasses import dataclass

# The interfaces of the contract that the component imports, by capability. None while the module's
# file is loaded.
_host = None


def connect(interfaces):
    """Gives this package its host: the imports of the component, or the fake of a test."""
    global _host
    _host = dict(interfaces)


def _use(capability):
    if _host is None:
        message = "the host cannot be called while the module's file is loaded: call it in a handler"
        raise HostError(message, domain=capability, kind="unsupported")
    found = _host.get(capability)
    if found is None:
        message = f'nexum.toml does not list the capability "{capability}" in [capabilities]'
        raise HostError(message, domain=capability, kind="unsupported")
    return found


class HostError(Exception):
    """The failure of a host call. A handler may also raise one of its own.

    `kind` is "unsupported", "unavailable", "denied", "rate-limited", "timeout", "invalid-input" or
    "internal". `domain` is the interface that failed, for example "chain". `code` is the server's
    number, or 0. `data` is the server's response body, for example revert data in hex, or None.
    """

    def __init__(self, message, *, domain="", kind="internal", code=0, data=None):
        super().__init__(message)
        self.message = message
        self.domain = domain
        self.kind = kind
        self.code = code
        self.data = data

    @property
    def is_retryable(self):
        """Whether the call can succeed later."""
        return self.kind in ("unavailable", "rate-limited", "timeout")

    @classmethod
    def from_record(cls, record):
        """The error of the contract's record `host-error`."""
        name = type(record.kind).__name__.removeprefix("HostErrorKind_")
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
        return cls(record.message, domain=record.domain, kind=kind, code=record.code, data=record.data)

    def to_record(self, types):
        """The error as the contract's record, made of the classes of `types`."""
        kind = "".join(word.capitalize() for word in self.kind.split("-"))
        kind = getattr(types, f"HostErrorKind_{kind}")()
        return types.HostError(self.domain, kind, self.code, self.message, self.data)


def _call(function, *values):
    """The result of a host call. Its error becomes a `HostError`."""
    try:
        return function(*values)
    except Exception as error:
        record = getattr(error, "value", None)
        if hasattr(record, "kind") and hasattr(record, "domain"):
            raise HostError.from_record(record) from None
        raise


@dataclass(frozen=True)
class Block:
    """A new block. `timestamp` is in milliseconds since the Unix epoch."""

    chain_id: int
    number: int
    hash: str
    timestamp: int


@dataclass(frozen=True)
class Log:
    """A log of a contract. Addresses, topics, hashes and data are 0x-prefixed hex."""

    chain_id: int
    address: str
    topics: list
    data: str
    block_number: int
    transaction_hash: str
    log_index: int


@dataclass(frozen=True)
class Message:
    """A message from a messaging network."""

    content_topic: str
    payload: bytes
    timestamp: int
    sender: bytes | None


class log:
    """Log records for the operator. Several values become one record, with spaces in between."""

    @staticmethod
    def _write(level, values):
        interface = _use("logging")
        interface.log(getattr(interface.Level, level), " ".join(map(str, values)))

    @staticmethod
    def trace(*values):
        log._write("TRACE", values)

    @staticmethod
    def debug(*values):
        log._write("DEBUG", values)

    @staticmethod
    def info(*values):
        log._write("INFO", values)

    @staticmethod
    def warn(*values):
        log._write("WARN", values)

    @staticmethod
    def error(*values):
        log._write("ERROR", values)


@dataclass(frozen=True)
class chain:
    """A chain by its id."""

    id: int

    def request(self, method, params=()):
        """Sends a JSON-RPC request and returns its result, parsed."""
        return json.loads(_call(_use("chain").request, self.id, method, json.dumps(list(params))))

    def batch(self, requests):
        """Sends several requests together, each `(method, params)`.

        Returns one entry per request, in the order of the requests: the result, or a `HostError`.
        """
        interface = _use("chain")
        records = [interface.RpcRequest(method, json.dumps(list(params))) for method, params in requests]
        results = _call(interface.request_batch, self.id, records)
        return [
            json.loads(result.value) if isinstance(result.value, str) else HostError.from_record(result.value)
            for result in results
        ]

    def call(self, to, data, block="latest"):
        """Calls a contract without a transaction, and returns the 0x-prefixed result.

        Inside a handler, "latest" is the block of the event.
        """
        return self.request("eth_call", [{"to": to, "data": data}, block])

    def balance(self, address, block="latest"):
        """The balance of an address in wei."""
        return int(self.request("eth_getBalance", [address, block]), 16)


class store:
    """The module's own keys and values. The host keeps an event's writes only if its handler returns."""

    @staticmethod
    def get(key):
        """The bytes of a key, or None."""
        return _call(_use("store").get, key)

    @staticmethod
    def set(key, value):
        """Stores bytes, or a text as UTF-8."""
        _call(_use("store").set, key, value.encode() if isinstance(value, str) else bytes(value))

    @staticmethod
    def get_text(key):
        value = store.get(key)
        return None if value is None else value.decode()

    @staticmethod
    def get_json(key, absent=None):
        """The value of a key as JSON, or `absent` if there is no such key."""
        value = store.get(key)
        return absent if value is None else json.loads(value)

    @staticmethod
    def set_json(key, value):
        store.set(key, json.dumps(value))

    @staticmethod
    def delete(key):
        """Deletes a key. An absent key is not an error."""
        _call(_use("store").delete, key)

    @staticmethod
    def keys(prefix=""):
        """The keys that start with `prefix`, in order."""
        return _call(_use("store").list_keys, prefix)


@dataclass(frozen=True)
class Response:
    """An HTTP response, with its headers as pairs."""

    status: int
    headers: list
    body: bytes

    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def fetch(url, *, method="GET", headers=(), body=None, timeout_ms=None):
    """Sends an HTTP request. A response with any status is returned, including 404 and 500."""
    interface = _use("http")
    pairs = headers.items() if hasattr(headers, "items") else headers
    records = [interface.Header(name, value) for name, value in pairs]
    content = body.encode() if isinstance(body, str) else body
    response = _call(interface.fetch, interface.Request(method, url, records, content, timeout_ms))
    received = [(header.name, header.value) for header in response.headers]
    return Response(response.status, received, bytes(response.body))


class identity:
    """Signatures with the keys that the operator assigns to the module."""

    @staticmethod
    def accounts():
        """The addresses that the module may sign for."""
        return [to_hex(account) for account in _call(_use("identity").accounts)]

    @staticmethod
    def sign(account, message):
        """Signs a message as `personal_sign` does."""
        content = message.encode() if isinstance(message, str) else message
        return to_hex(_call(_use("identity").sign, from_hex(account), content))

    @staticmethod
    def sign_typed_data(account, data):
        """Signs EIP-712 typed data."""
        return to_hex(_call(_use("identity").sign_typed_data, from_hex(account), json.dumps(data)))


class cow:
    """The CoW Protocol order book."""

    @staticmethod
    def request(chain_id, method, path, body=None):
        """Sends a request to the order book of a chain, and returns the body of a 2xx response, parsed."""
        content = None if body is None else json.dumps(body)
        return json.loads(_call(_use("cow").request, chain_id, method, path, content))

    @staticmethod
    def quote(chain_id, order):
        """The answer to a request for a price: a dict with `quote`, whose amounts are decimal texts."""
        return cow.request(chain_id, "POST", "/api/v1/quote", order)

    @staticmethod
    def submit_order(chain_id, order):
        """Submits an order and returns its UID."""
        return _call(_use("cow").submit_order, chain_id, json.dumps(order).encode())


def from_hex(text):
    """The bytes of a hex text, with or without 0x."""
    return bytes.fromhex(text.removeprefix("0x"))


def to_hex(content):
    """Bytes as 0x-prefixed hex."""
    return "0x" + bytes(content).hex()
