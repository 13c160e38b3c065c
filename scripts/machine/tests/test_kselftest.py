# SPDX-License-Identifier: GPL-2.0
"""What kselftest's runner says is counted as it is meant."""

from __future__ import annotations

import unittest

from kselftest import read_ktap

OUTPUT = """\
TAP version 13
1..3
# timeout set to 300
# selftests: rust_kvm_nvmx: flush_all
# # witness a.b vmentry.L2 >= 1
ok 1 selftests: rust_kvm_nvmx: flush_all
# 1..0 # SKIP - /dev/kvm not available
ok 2 selftests: rust_kvm_nvmx: eptp # SKIP
not ok 3 selftests: rust_kvm_nvmx: tlb_smm # exit=254
# Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0
"""


class Ktap(unittest.TestCase):
    """The runner's output."""

    def test_each_kind(self) -> None:
        summary = read_ktap(OUTPUT.splitlines())
        self.assertEqual(str(summary), "1 passed, 1 failed, 1 skipped")
        self.assertFalse(summary.is_good)

    def test_all_is_well(self) -> None:
        lines = [line for line in OUTPUT.splitlines() if not line.startswith("not ok")]
        lines[1] = "1..2"
        self.assertTrue(read_ktap(lines).is_good)

    def test_one_never_ran(self) -> None:
        lines = [line for line in OUTPUT.splitlines() if not line.startswith("not ok")]
        self.assertFalse(read_ktap(lines).is_good)

    def test_nothing_ran(self) -> None:
        self.assertFalse(read_ktap([]).is_good)
        self.assertFalse(read_ktap(["1..0"]).is_good)


if __name__ == "__main__":
    unittest.main()
