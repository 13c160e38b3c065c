# SPDX-License-Identifier: GPL-2.0
"""Unit tests of the simulated TLB's figures."""

from __future__ import annotations

import unittest
from collections import Counter

import bench
import simulated

_COUNTERS = Counter(
    {
        "instr.root": 5,
        "sim.root.vpid.0.accesses": 100,
        "sim.root.vpid.0.l1_misses": 10,
        "sim.L1.vpid.1.accesses": 50,
        "sim.L2.vpid.2.accesses": 40,
        "sim.L2.vpid.2.l1_misses": 8,
        "sim.L2.vpid.2.l2_misses": 4,
        "sim.L2.vpid.3.accesses": 10,
        "sim.L2.vpid.3.l1_misses": 2,
        "sim.L2.vpid.3.l2_misses": 2,
    }
)


class Simulated(unittest.TestCase):
    """Misses per round trip, and their table."""

    def test_all_vpids_of_a_level_count(self) -> None:
        self.assertEqual(
            simulated.per_round(_COUNTERS, 2),
            {
                "accesses": 100,
                "l1_misses": 10,
                "l2_misses": 3,
                "l2_misses.root": 0,
                "l2_misses.L1": 0,
                "l2_misses.L2": 3,
            },
        )

    def test_nothing_where_no_tlb_was_simulated(self) -> None:
        self.assertEqual(simulated.per_round(Counter({"instr.root": 5, "vmentry.L2": 1}), 2), {})
        sample = bench.Sample(bench.RUST, "r", 1, 1)
        self.assertEqual(bench.simulated_misses([sample]), {})

    def test_median_by_region_and_kind(self) -> None:
        def sample(kind: str, region: str, rounds: int) -> bench.Sample:
            return bench.Sample(kind, region, 1, 1, {}, simulated.per_round(_COUNTERS, rounds))

        samples = [
            *(sample(bench.PATCHED, "r", rounds) for rounds in (1, 2, 100)),
            sample(bench.RUST, "r", 3),
            sample(bench.RUST, "other", 1),
        ]
        table = bench.simulated_misses(samples)
        self.assertEqual(table["r"][bench.PATCHED]["l2_misses"], 3)
        self.assertEqual(table["r"][bench.RUST]["l2_misses"], 2)
        self.assertEqual(list(table["other"]), [bench.RUST])

    def test_table_says_what_it_is_and_what_is_missing(self) -> None:
        misses = simulated.per_round(_COUNTERS, 2)
        kinds = {"c": "C", "rust": "Rust"}
        text = simulated.render("l2=64x4", kinds, {"one": {"c": misses}})
        lines = text.splitlines()
        self.assertIn("simulated TLB (l2=64x4)", lines[0])
        self.assertEqual(len(lines), 2 + len(simulated.FIGURES))
        self.assertRegex(lines[3], r"^ +level 2 misses +3\.0 +-$")


if __name__ == "__main__":
    unittest.main()
