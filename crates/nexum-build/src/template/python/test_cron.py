import unittest

import app
from nexum.testing import Harness


class Cron(unittest.TestCase):
    def test_logs_each_change_of_the_balance(self):
        balances = iter(["0x5", "0x5", "0x6"])
        nexum = Harness(app, {"account": "0x1"})
        nexum.on_request("eth_getBalance", lambda params, chain_id: next(balances))
        for fired_at in (0, 10_000, 20_000):
            nexum.tick(fired_at)
        self.assertEqual(nexum.logs, [("info", "0x1 has 5 wei"), ("info", "0x1 has 6 wei")])


if __name__ == "__main__":
    unittest.main()
