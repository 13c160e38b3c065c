# SPDX-License-Identifier: GPL-2.0
"""A program's own KTAP, when it exits with 0."""

from __future__ import annotations

import unittest

from ktap import complaints


class Complaints(unittest.TestCase):
    """What the exit code does not say."""

    def test_all_is_well(self) -> None:
        for output in (
            [],
            ["TAP version 13", "1..2", "ok 1 a", "# x", "ok 2 b"],
            ["1..1", "ok 1 a # SKIP no VMX"],
            ["1..1", "not ok 1 a # SKIP no VMX"],
            ["1..1", "not ok 1 a # TODO later"],
            ["1..0 # SKIP - no VMX"],
            ["1..1", "ok 1 a", "1..2", "ok 1 b", "ok 2 c"],
            ["ok then", "not okay"],
        ):
            self.assertEqual(complaints(output), [], output)

    def test_a_subtest_failed(self) -> None:
        found = complaints(["1..2", "not ok 1 a", "ok 2 b"])
        self.assertEqual(found, ["exit code 0, but: not ok 1 a"])

    def test_fewer_subtests_than_planned(self) -> None:
        for results in ([], ["ok 1 a"], ["ok 1 a", "ok 2 b", "ok 3 c"]):
            found = complaints(["1..2", *results])
            number = len(results)
            self.assertEqual(found, [f"exit code 0, but {number} of 2 subtests have a result"])


if __name__ == "__main__":
    unittest.main()
