"""Tests of the SDK against the fake of the host."""

import sys
import unittest
import urllib.request
from types import SimpleNamespace

import nexum
from nexum import HostError, cow, guest, identity, store
from nexum.testing import Harness


class Sdk(unittest.TestCase):
    def test_1_the_host_cannot_be_called_while_the_file_is_loaded(self):
        # No test before this one connects a host.
        with self.assertRaises(HostError) as raised:
            nexum.log.info("loaded")
        message = "the host cannot be called while the module's file is loaded: call it in a handler"
        self.assertEqual((str(raised.exception), raised.exception.domain), (message, "logging"))

    def test_2_a_missing_capability_is_named(self):
        nexum.connect({})
        with self.assertRaises(HostError) as raised:
            nexum.log.info("handled")
        message = 'nexum.toml does not list the capability "logging" in [capabilities]'
        self.assertEqual(str(raised.exception), message)

    def test_a_url_in_a_query_string_stays_in_it(self):
        urls = []

        def respond(request):
            urls.append(request.url)
            return 200, "ok"

        answers = []

        def on_tick(fired_at):
            answers.append(urllib.request.urlopen("http://a.test/find?at=http://b.test/").read())

        with Harness(SimpleNamespace(on_tick=on_tick)).on_fetch(respond).urllib() as harness:
            harness.tick(1)
        self.assertEqual(answers, [b"ok"])
        self.assertEqual(urls, ["http://a.test/find?at=http://b.test/"])

    def test_signs_for_the_accounts_of_the_test(self):
        account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        signature = "0x" + "1b" * 65
        seen = []
        signed = []

        def on_tick(fired_at):
            [address] = identity.accounts()
            signed.extend([address, identity.sign(address, "hello"), identity.sign_typed_data(address, {"types": {}})])
            identity.sign("0x" + "22" * 20, "hello")

        harness = Harness(SimpleNamespace(on_tick=on_tick))
        harness.on_sign(lambda account, content: seen.append((account, content)) or signature)
        harness.accounts = [account]
        with self.assertRaises(HostError) as raised:
            harness.tick(0)
        self.assertEqual((raised.exception.kind, str(raised.exception)), ("denied", "the module has no such account"))
        address = account.lower()
        self.assertEqual(signed, [address, signature, signature])
        self.assertEqual(seen, [(address, b"hello"), (address, {"types": {}})])

    def test_keeps_orders_and_gives_the_answer_of_the_test(self):
        harness = Harness(SimpleNamespace(on_tick=lambda _: cow.submit_order(1, {"kind": "sell"})))
        with self.assertRaisesRegex(LookupError, r"the test has no answer for the order .*; add on_order\(\.\.\.\)"):
            harness.tick(0)
        harness.on_order(lambda order, chain_id: f"{order['kind']} {chain_id}").tick(0)

        def fail(order, chain_id):
            raise HostError("down", kind="unavailable")

        with self.assertRaises(HostError) as raised:
            harness.on_order(fail).tick(0)
        self.assertTrue(raised.exception.is_retryable)
        self.assertEqual(harness.orders, [(1, {"kind": "sell"})] * 3)

    def test_refuses_a_query_the_order_book_and_signatures(self):
        refused = []

        def query(content):
            for call in (lambda: cow.quote(1, {}), identity.accounts):
                try:
                    call()
                except HostError as error:
                    refused.append(f"{error.kind}: {error}")

        Harness(SimpleNamespace(query=query)).query()
        expected = [f"denied: {domain} may not be called by a query" for domain in ("cow-api", "identity")]
        self.assertEqual(refused, expected)

    def test_an_async_handler_is_an_error_that_names_it(self):
        async def on_tick(fired_at):
            pass

        with self.assertRaisesRegex(TypeError, "^on_tick is async; "):
            Harness(SimpleNamespace(on_tick=on_tick)).tick(0)

    def test_an_exit_is_an_error_of_the_handler(self):
        def on_tick(fired_at):
            store.set("seen", "1")
            sys.exit(3)

        harness = Harness(SimpleNamespace(on_tick=on_tick))
        with self.assertRaises(SystemExit):
            harness.tick(7)
        self.assertEqual(harness.stored, {})
        level, message = harness.logs[0]
        self.assertEqual((level, message.splitlines()[-1]), ("error", "SystemExit: 3"))
        self.assertTrue(message.startswith("on_tick failed: Traceback"), message)

    def test_an_exit_reaches_the_host_as_a_failure(self):
        logging = SimpleNamespace(Level=SimpleNamespace(ERROR=0), log=lambda *_: None)
        guest.connect({"logging": logging}, lambda failure: failure)
        event = type("Event_Tick", (), {"value": SimpleNamespace(fired_at=7)})()
        with self.assertRaises(HostError) as raised:
            guest.deliver(SimpleNamespace(on_tick=lambda fired_at: sys.exit(3)), event)
        self.assertEqual(str(raised.exception), "SystemExit: 3")


if __name__ == "__main__":
    unittest.main()
