import unittest

import app
from nexum.testing import Harness


class Query(unittest.TestCase):
    def test_answers_with_the_count(self):
        nexum = Harness(app)
        nexum.block(number=5)
        nexum.block(number=6)
        self.assertEqual(nexum.query(), b'{"blocks": 2}')


if __name__ == "__main__":
    unittest.main()
