"""Tests of the SDK against the fake of the host."""

import sys
import unittest
import urllib.request
from types import SimpleNamespace

import nexum
from nexum import HostError, guest, store
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
