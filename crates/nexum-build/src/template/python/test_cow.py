import unittest

import app
from nexum import HostError
from nexum.testing import Harness


class Cow(unittest.TestCase):
    def test_logs_a_price_every_few_blocks(self):
        def answer(method, path, body, chain_id):
            self.assertEqual((method, path, body["sellAmountBeforeFee"]), ("POST", "/api/v1/quote", "7"))
            return {"quote": {"sellAmount": "7", "buyAmount": "9"}}

        def fail(*_):
            raise HostError("the order book is down", kind="unavailable")

        nexum = Harness(app, {"sell_token": "0x1", "buy_token": "0x2", "sell_amount": "7", "every": 10})
        nexum.on_cow(answer)
        for number in (19, 20, 21):
            nexum.block(number=number)
        nexum.on_cow(fail).block(number=30)
        self.assertEqual(
            nexum.logs,
            [
                ("info", "block 20: 7 buy 9"),
                ("warn", "block 30: no price: the order book is down"),
            ],
        )


if __name__ == "__main__":
    unittest.main()
