import unittest

import app
from events import {{event}} as first
from nexum.testing import Harness

CONTRACT = "0x" + "11" * 20
ZERO = "0x" + "00" * 32


class Events(unittest.TestCase):
    def test_logs_the_event(self):
        nexum = Harness(app)
        # An event whose values are zero or empty, and a log of another event.
        nexum.emit(
            {
                "address": CONTRACT,
                "topics": [first.topic] + [ZERO] * {{indexed}},
                "data": "{{data}}",
                "block_number": 7,
            },
            {"address": CONTRACT, "topics": [ZERO], "block_number": 7},
        )
        self.assertEqual(nexum.stored["events"], b"1")
        [(level, message)] = nexum.logs
        self.assertTrue(message.startswith(f"block 7: {first.name} of {CONTRACT} {{"), message)


if __name__ == "__main__":
    unittest.main()
