# SPDX-License-Identifier: GPL-2.0
"""Unit tests of what `make linux-l1` plans, prints and calls wrong."""

from __future__ import annotations

import unittest
from collections import Counter
from pathlib import Path

import linux_l1
from bochs import Emulator
from boots import Boot, Finished, Parts
from console import Console
from linux_l1 import C, C_AGAIN, RUST
from session import Limits, Outcome

_KINDS = (C, RUST, C_AGAIN)
_STEPS = ("2_vms", "4_vms", "8_vms")
_TURNS = 10


def _counted(invvpids: int, invepts: int) -> Counter:
    return Counter(
        {
            "invvpid.single": invvpids,
            "invept.single": invepts,
            "vmentry.L2": _TURNS,
            "instr.root": 1,
        }
    )


def _finished(rust: Counter, c: Counter, words: str = "", module: int | None = None) -> Finished:
    """A run in which each region of a kind has the same counts. The module says that it executed
    MODULE INVVPIDs, by default as many as the emulator has seen."""
    console, witness = Console(), {}
    plan = linux_l1.make_plan()
    for name in plan.step_names():
        kind, step = name.split("/")
        console.tests_line(f"@machine begin {name}")
        if step in _STEPS:
            console.tests_line(f"# bench {step} {_TURNS}")
            console.tests_line(words)
            seen = rust if kind == RUST else c
            witness[name] = {"": Counter(seen), step: Counter(seen)}
            if kind == RUST:
                own = seen["invvpid.single"] if module is None else module
                console.tests_line(f"@machine counter invvpid.single {own}")
                console.tests_line(f"@machine counter invept.single {seen['invept.single']}")
        console.tests_line(f"@machine end {name} 0 1.0 2.0")
    console.done = True
    here = Path("/")
    boot = Boot("machine", plan, (), Parts(here, here, Emulator(here), here, Limits(), False))
    return Finished(boot, Outcome(console, here, 1, 1, 1, 1), witness)


def _problems(*arguments: Counter | str, **more: int) -> list[str]:
    finished = _finished(*arguments, **more)
    return linux_l1.find_problems(finished, linux_l1.make_table(finished))


class TheModuleComesAndGoes(unittest.TestCase):
    """While L1 runs."""

    def test_plan(self) -> None:
        steps = linux_l1.make_plan().step_names()
        self.assertEqual(steps[0], "c/start")
        self.assertEqual(steps[-1], "c_again/stop")
        self.assertEqual(steps.count("rust/insmod"), 1)
        self.assertEqual(steps.count("c_again/rmmod"), 1)
        for kind in _KINDS:
            self.assertLess(0, sum(step == f"{kind}/8_vms" for step in steps))


class Problems(unittest.TestCase):
    """What fails the run."""

    def test_none(self) -> None:
        self.assertEqual(_problems(_counted(0, 0), _counted(_TURNS, _TURNS)), [])

    def test_half_is_enough(self) -> None:
        self.assertEqual(_problems(_counted(5, 5), _counted(10, 10)), [])
        found = _problems(_counted(5, 6), _counted(10, 10))
        self.assertEqual(found, [f"{step}: INVEPT: C 10, Rust 6" for step in _STEPS])

    def test_nothing_in_c_shows_nothing(self) -> None:
        found = _problems(_counted(0, 0), _counted(0, 10))
        self.assertEqual(found, [f"{step}: no INVVPID was executed in C" for step in _STEPS])

    def test_the_module_miscounts(self) -> None:
        found = _problems(_counted(2, 0), _counted(10, 10), module=1)
        self.assertEqual(len(found), len(_STEPS))
        self.assertIn("invvpid.single: the module counted 1, the emulator 2", found[0])
        self.assertEqual(_problems(_counted(2, 0), _counted(10, 10), module=3), [])

    def test_while_it_is_loaded_c_may_flush(self) -> None:
        finished = _finished(_counted(0, 0), _counted(10, 10))
        finished.witness["rust/insmod"] = {"": Counter({"invept.all": 1})}
        self.assertEqual(linux_l1.find_problems(finished, linux_l1.make_table(finished)), [])

    def test_l1_complains(self) -> None:
        found = _problems(_counted(0, 0), _counted(9, 9), "[    1.0] WARNING: kvm.c:1")
        self.assertEqual(len(found), len(_STEPS) * len(_KINDS))
        self.assertIn("L1: WARN", found[0])

    def test_l2_did_not_run(self) -> None:
        c = _counted(10, 10)
        c["vmentry.L2"] = _TURNS - 1
        self.assertIn("2_vms: c: L2 was entered 9 times", _problems(_counted(0, 0), c))

    def test_a_region_is_missing(self) -> None:
        finished = _finished(_counted(0, 0), _counted(10, 10))
        del finished.witness["rust/4_vms"]["4_vms"]
        found = linux_l1.find_problems(finished, linux_l1.make_table(finished))
        self.assertEqual(found, ["4_vms: not measured: rust"])


class Text(unittest.TestCase):
    """The table."""

    def test_rows(self) -> None:
        table = {"2_vms": {C: _counted(11, 12), RUST: _counted(0, 3)}}
        table["2_vms"][RUST]["vmexit.L1.invept"] = 7
        row = linux_l1.render(table, {"2_vms": _TURNS}).splitlines()[-1].split()
        self.assertEqual(row[:8], ["2_vms", "10", "11", "0", "-", "12", "3", "-"])
        self.assertEqual(row[-2:], ["0", "7"])


if __name__ == "__main__":
    unittest.main()
