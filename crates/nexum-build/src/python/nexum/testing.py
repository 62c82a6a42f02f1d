"""Runs a module natively against a fake of the host, with `unittest`."""

import contextlib
import os
from enum import Enum
from types import SimpleNamespace

import nexum
from nexum import HostError, from_hex, guest, to_hex

# An event without a chain id is of anvil's chain.
CHAIN_ID = 31337
_ZERO = "0x" + "00" * 32


class Harness:
    """A module with its fake host.

    A handler that raises loses its writes, as in nexum. The variables of the module's file outlive
    the failure here, and do not in nexum.
    """

    def __init__(self, module, config=None):
        # The log records so far, as pairs of level and message.
        self.logs = []
        # The chain requests so far, as tuples of chain id, method and parameters.
        self.requests = []
        # The submitted orders so far, as pairs of chain id and order.
        self.orders = []
        # The addresses that the module may sign for, in hex.
        self.accounts = []
        # The keys and values.
        self.stored = {}
        self._module = module
        self._config = {key: str(value) for key, value in (config or {}).items()}
        self._answers = {}
        self._responses = []
        self._order_book = _absent("request to the order book", "on_cow")
        self._submitted = _absent("order", "on_order")
        self._signer = _absent("signature", "on_sign")
        self._started = False

    def on_request(self, method, handler):
        """Answers a JSON-RPC method with `handler(params, chain_id)`, which may raise a `HostError`."""
        self._answers[method] = handler
        return self

    def on_fetch(self, handler):
        """Answers HTTP requests with `handler(request)`: a status with a body, or None."""
        self._responses.append(handler)
        return self

    def on_cow(self, handler):
        """Answers requests to the order book with `handler(method, path, body, chain_id)`.

        It returns the answer as a value, or raises a `HostError`. `body` is parsed, or None.
        """
        self._order_book = handler
        return self

    def on_order(self, handler):
        """Answers orders with `handler(order, chain_id)`: it returns the UID, or raises a `HostError`."""
        self._submitted = handler
        return self

    def on_sign(self, handler):
        """Signs with `handler(account, content)`: bytes for a message, a dict for typed data.

        It returns the signature in hex, or raises a `HostError`. The host refuses other accounts than
        those of `accounts`.
        """
        self._signer = handler
        return self

    def block(self, number, chain_id=CHAIN_ID, timestamp=0, hash=_ZERO):
        value = SimpleNamespace(chain_id=chain_id, number=number, timestamp=timestamp, hash=from_hex(hash))
        self._event("Block", value)

    def emit(self, *logs):
        """Delivers the logs of one block: dicts with `address`, `topics` and `data` in hex."""
        self._event("Logs", [_to_record(index, log) for index, log in enumerate(logs)])

    def tick(self, fired_at):
        """Delivers a time of a schedule, in milliseconds since the Unix epoch."""
        self._event("Tick", SimpleNamespace(fired_at=fired_at))

    def query(self, content=b""):
        """Asks the module a query, and returns the bytes of its answer.

        `init` runs first, as for an instance of its own. Both read the store, and may neither write
        nor call another interface.
        """

        def run():
            self._start()
            return guest.answer(self._module, content)

        return self._run(self._in_query(), run)

    def _event(self, kind, value):
        before = dict(self.stored)
        event = type(f"Event_{kind}", (), {"value": value})()

        def run():
            if not self._started:
                self._start()
                self._started = True
            guest.deliver(self._module, event)

        try:
            self._run(self._interfaces(), run)
        except BaseException:
            self._started = False
            self.stored = before
            raise

    def _run(self, interfaces, action):
        """Runs code of the module. Raises the error of the handler itself."""
        guest.connect(interfaces, lambda failure: failure)
        try:
            return action()
        except BaseException as error:
            raise (error.__cause__ or error) from None

    def _start(self):
        guest.start(self._module, self._config.items())

    def _in_query(self):
        interfaces = self._interfaces()
        denied = _denied("local-store", "a query may not write")
        vars(interfaces["store"]).update(set=denied, delete=denied)
        for capability, names in _UNCALLABLE.items():
            domain = "cow-api" if capability == "cow" else capability
            denied = _denied(domain, f"{domain} may not be called by a query")
            vars(interfaces[capability]).update(dict.fromkeys(names, denied))
        return interfaces

    def _interfaces(self):
        levels = Enum("Level", ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"])
        return {
            "chain": SimpleNamespace(
                request=self._request,
                request_batch=lambda chain_id, requests: [self._settle(chain_id, each) for each in requests],
                RpcRequest=lambda method, params: SimpleNamespace(method=method, params=params),
            ),
            "store": SimpleNamespace(
                get=self.stored.get,
                set=self.stored.__setitem__,
                delete=lambda key: self.stored.pop(key, None),
                list_keys=lambda prefix: sorted(key for key in self.stored if key.startswith(prefix)),
            ),
            "logging": SimpleNamespace(
                Level=levels,
                log=lambda level, message: self.logs.append((level.name.lower(), message)),
            ),
            "random": SimpleNamespace(fill=os.urandom),
            "http": SimpleNamespace(
                fetch=self._fetch,
                Header=lambda name, value: SimpleNamespace(name=name, value=value),
                Request=lambda method, url, headers, body, timeout_ms: SimpleNamespace(
                    method=method, url=url, headers=headers, body=body, timeout_ms=timeout_ms
                ),
            ),
            "cow": SimpleNamespace(request=self._cow_request, submit_order=self._submit_order),
            "identity": SimpleNamespace(
                accounts=lambda: [from_hex(account) for account in self.accounts],
                sign=self._sign,
                sign_typed_data=lambda account, data: self._sign(account, nexum.json.loads(data)),
            ),
        }

    def _request(self, chain_id, method, params):
        parsed = nexum.json.loads(params)
        self.requests.append((chain_id, method, parsed))
        handler = self._answers.get(method)
        if handler is None:
            raise LookupError(f'the test has no answer for {method} {params}; add on_request("{method}", ...)')
        return nexum.json.dumps(handler(parsed, chain_id))

    def _settle(self, chain_id, request):
        try:
            return SimpleNamespace(value=self._request(chain_id, request.method, request.params))
        except HostError as error:
            return SimpleNamespace(value=error.to_record(_Types()))

    def _fetch(self, request):
        for handler in self._responses:
            found = handler(request)
            if found is not None:
                status, body = found
                content = body.encode() if isinstance(body, str) else body
                return SimpleNamespace(status=status, headers=[], body=content)
        raise LookupError(f"the test has no response for {request.method} {request.url}; add on_fetch(...)")

    def _cow_request(self, chain_id, method, path, body):
        parsed = None if body is None else nexum.json.loads(body)
        return nexum.json.dumps(self._order_book(method, path, parsed, chain_id))

    def _submit_order(self, chain_id, content):
        order = nexum.json.loads(content)
        self.orders.append((chain_id, order))
        return self._submitted(order, chain_id)

    def _sign(self, account, content):
        address = to_hex(account)
        if address not in map(str.lower, self.accounts):
            raise HostError("the module has no such account", domain="identity", kind="denied")
        return from_hex(self._signer(address, content))

    @contextlib.contextmanager
    def urllib(self):
        """Sends the requests of `urllib.request` and `http.client` to `on_fetch`, inside a `with`."""
        import http.client
        import urllib.request

        from nexum import web

        before = (http.client.HTTPConnection, http.client.HTTPSConnection, urllib.request._opener)
        web.install()
        try:
            yield self
        finally:
            http.client.HTTPConnection, http.client.HTTPSConnection, urllib.request._opener = before


# The functions that a query may not call.
_UNCALLABLE = {
    "chain": ["request", "request_batch"],
    "http": ["fetch"],
    "cow": ["request", "submit_order"],
    "identity": ["accounts", "sign", "sign_typed_data"],
}


def _absent(subject, method):
    """A handler for a call that the test does not expect."""

    def refuse(*values):
        raise LookupError(f"the test has no answer for the {subject} {values}; add {method}(...)")

    return refuse


def _denied(domain, message):
    """A function that the host refuses."""

    def refuse(*_):
        raise HostError(message, domain=domain, kind="denied")

    return refuse


class _Types:
    """Stands in for the generated classes of the contract's types."""

    def __getattr__(self, name):
        return type(name, (), {})

    @staticmethod
    def HostError(domain, kind, code, message, data):
        return SimpleNamespace(domain=domain, kind=kind, code=code, message=message, data=data)


def _to_record(index, log):
    return SimpleNamespace(
        chain_id=log.get("chain_id", CHAIN_ID),
        address=from_hex(log["address"]),
        topics=[from_hex(topic) for topic in log.get("topics", [])],
        data=from_hex(log.get("data", "0x")),
        block_number=log.get("block_number", 0),
        transaction_hash=from_hex(log.get("transaction_hash", _ZERO)),
        log_index=log.get("log_index", index),
    )
