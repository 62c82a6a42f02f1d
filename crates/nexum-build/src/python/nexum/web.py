"""`urllib.request` and `http.client` over the host's HTTP capability.

The generated entry point imports this file if `nexum.toml` lists the capability `http`. The host
applies the operator's rules, follows redirects and checks certificates.
"""

import http.client
import io
import socket
import urllib.error
import urllib.parse
import urllib.request

from nexum import HostError, fetch

# Headers that describe a connection, and not the content. The host sets its own.
_OF_CONNECTION = {
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "transfer-encoding",
}


class _Exchange:
    """Stands in for a socket: collects a request, and has the response once a reader asks for it."""

    def __init__(self, connection):
        self._connection = connection
        self._sent = bytearray()

    def sendall(self, data):
        self._sent += data

    def makefile(self, mode, *_, **__):
        return io.BytesIO(self._response())

    def settimeout(self, seconds):
        self._connection.timeout = seconds

    def close(self):
        pass

    def _response(self):
        head, _, body = bytes(self._sent).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        if any(name.lower() == "transfer-encoding" for name, _ in headers):
            body = _join_chunks(body)
        kept = [(name, value) for name, value in headers if name.lower() not in _OF_CONNECTION]
        try:
            response = fetch(
                self._connection.url(path),
                method=method,
                headers=kept,
                body=body or None,
                timeout_ms=self._connection.timeout_ms(),
            )
        except HostError as error:
            raise OSError(f"{error.domain} {error.kind}: {error.message}") from error
        return _to_bytes(response)


def _join_chunks(body):
    """The content of a body in chunks."""
    content = bytearray()
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        content += body[:length]
        body = body[length + 2 :]
    return bytes(content)


def _to_bytes(response):
    """A response in the form that `http.client` reads from a socket."""
    reason = http.client.responses.get(response.status, "")
    lines = [f"HTTP/1.1 {response.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers if name.lower() not in _OF_CONNECTION]
    lines += [f"content-length: {len(response.body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + response.body


class HTTPConnection(http.client.HTTPConnection):
    """A connection whose requests go through the host."""

    scheme = "http"

    def connect(self):
        self.sock = _Exchange(self)

    def url(self, path):
        """The URL of a path, or of a whole URL as path."""
        if not path.startswith("/"):
            return path
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == self.default_port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{path}"

    def timeout_ms(self):
        """The time for the whole request, or None for the host's default."""
        seconds = self.timeout
        has_none = seconds is None or seconds is socket._GLOBAL_DEFAULT_TIMEOUT
        return None if has_none else max(1, int(seconds * 1_000))


class HTTPSConnection(HTTPConnection):
    """A connection over TLS, which the host makes. It ignores settings of TLS."""

    scheme = "https"
    default_port = 443

    def __init__(self, host, port=None, *, context=None, check_hostname=None, **options):
        super().__init__(host, port, **options)


class _HTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, request):
        return self.do_open(HTTPConnection, request)


class _HTTPSHandler(urllib.request.AbstractHTTPHandler):
    def https_open(self, request):
        return self.do_open(HTTPSConnection, request)

    https_request = urllib.request.AbstractHTTPHandler.do_request_


def install():
    """Makes `urllib.request.urlopen` and the connections of `http.client` use the host."""
    http.client.HTTPConnection = HTTPConnection
    http.client.HTTPSConnection = HTTPSConnection
    opener = urllib.request.OpenerDirector()
    handlers = [
        _HTTPHandler(),
        _HTTPSHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    urllib.request.install_opener(opener)
