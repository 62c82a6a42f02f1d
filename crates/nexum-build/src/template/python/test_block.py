import unittest

import app
from nexum.testing import Harness


class Block(unittest.TestCase):
    def test_logs_the_price_of_gas(self):
        nexum = Harness(app).on_request("eth_gasPrice", lambda params, chain_id: "0x7")
        nexum.block(number=5)
        nexum.block(number=6)
        self.assertEqual(
            nexum.logs,
            [
                ("info", "block 5: gas costs 7 wei; 1 blocks so far"),
                ("info", "block 6: gas costs 7 wei; 2 blocks so far"),
            ],
        )


if __name__ == "__main__":
    unittest.main()
