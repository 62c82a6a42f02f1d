import json
import unittest
import urllib.error
from types import SimpleNamespace

import app
from nexum import HostError, chain, store
from nexum.testing import Harness

TOKEN = "0x" + "11" * 20


def harness(**config):
    nexum = Harness(app, {"warn_above_gwei": 100} | config)
    return nexum.on_request("eth_gasPrice", lambda params, chain_id: "0xdf8475800")


class GasWatch(unittest.TestCase):
    def test_keeps_the_highest_price_and_warns_above_the_limit(self):
        nexum = harness(warn_above_gwei=59.5)
        nexum.block(number=5)
        self.assertEqual(nexum.logs, [("warn", "block 5: gas costs 60 gwei")])
        self.assertEqual(json.loads(nexum.stored["gas"]), {"blocks": 1, "highest": 60})

    def test_counts_transfers(self):
        nexum = harness()
        nexum.emit({"address": TOKEN, "block_number": 7}, {"address": TOKEN, "block_number": 7})
        self.assertEqual(nexum.stored["transfers"], b"2")
        self.assertEqual(nexum.logs[1], ("info", f"block 7: a transfer of {TOKEN}"))

    def test_reports_once_after_a_block(self):
        nexum = harness(report_url="http://reports.test/")
        sent = []
        nexum.on_fetch(lambda request: sent.append((request.method, request.url, request.body)) or (204, b""))
        with nexum.urllib():
            nexum.block(number=1)
            nexum.tick(0)
            nexum.tick(1_000)
        report = '{"blocks": 1, "highest": 60.0, "transfers": 0}'
        self.assertEqual(sent, [("POST", "http://reports.test/", report.encode())])
        self.assertEqual(nexum.logs, [("info", f"1970-01-01T00:00:00+00:00 {report}")])
        self.assertEqual(nexum.query(), report.encode())

    def test_loses_the_writes_of_a_failed_event(self):
        nexum = harness(report_url="http://reports.test/")
        nexum.on_fetch(lambda request: (500, b"full"))
        with nexum.urllib(), self.assertRaises(urllib.error.HTTPError):
            nexum.block(number=1)
            nexum.tick(0)
        self.assertNotIn("reported", nexum.stored)
        level, message = nexum.logs[-1]
        self.assertEqual(level, "error")
        self.assertRegex(message, r'(?s)^on_tick failed: Traceback .*app\.py", line \d+, in send.*HTTP Error 500')

    def test_refuses_a_limit_that_is_no_number(self):
        with self.assertRaises(ValueError):
            harness(warn_above_gwei="high").tick(0)

    def test_refuses_what_a_query_may_not_do(self):
        refused = []

        def attempt(call, *values):
            try:
                call(*values)
            except HostError as error:
                refused.append(f"{error.domain} {error.kind}")

        def query(_):
            attempt(store.delete, "started")
            attempt(chain(1).request, "eth_gasPrice")
            attempt(chain(1).batch, [("eth_gasPrice", [])])
            return ",".join(store.keys())

        def init(_):
            attempt(store.set, "started", "1")

        module = SimpleNamespace(init=init, query=query, on_block=lambda block: None)
        nexum = Harness(module).on_request("eth_gasPrice", lambda params, chain_id: "0x1")
        nexum.block(number=1)
        self.assertEqual(refused, [])
        self.assertEqual(nexum.query(), b"started")
        self.assertEqual(refused, ["local-store denied", "local-store denied", "chain denied", "chain denied"])
        nexum.block(number=2)
        self.assertEqual((len(refused), nexum.requests, nexum.stored["started"]), (4, [], b"1"))


if __name__ == "__main__":
    unittest.main()
