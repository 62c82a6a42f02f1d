import unittest

import app
from nexum.testing import Harness

TOKEN = "0x" + "11" * 20
TOPIC = "0x" + "22" * 32


class Event(unittest.TestCase):
    def test_logs_large_transfers_and_counts_all_of_amounts(self):
        nexum = Harness(app, {"least": 1000})
        nexum.emit(
            {"address": TOKEN, "topics": [TOPIC] * 3, "data": "0x03e8", "block_number": 7},
            {"address": TOKEN, "topics": [TOPIC] * 3, "data": "0x03e7", "block_number": 7},
            {"address": TOKEN, "topics": [TOPIC] * 4, "data": "0x", "block_number": 7},
        )
        self.assertEqual(nexum.stored["transfers"], b"2")
        self.assertEqual(nexum.logs, [("info", f"block 7: a transfer of 1000 of the token {TOKEN}")])


if __name__ == "__main__":
    unittest.main()
