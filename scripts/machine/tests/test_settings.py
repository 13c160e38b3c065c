# SPDX-License-Identifier: GPL-2.0
"""Seeds, and parameters of kvm_intel: what they change, and what they refuse."""

from __future__ import annotations

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import bochs
from boots import Parts
from errors import MachineError
from plan import Step, guest_script
from session import Limits
from suite import choose, make_boots, parameters_of, with_parameters
from testlist import Entry, TestList

HERE = Path("/")


def entry(name: str, parameters: str = "", *arguments: str) -> Entry:
    """A run in the plan."""
    title = f"{name}[{parameters}]" if parameters else name
    step = Step(title, (f"/tests/{name}", *arguments))
    return Entry(name, step, ("absent",), parameters)


class Seeds(unittest.TestCase):
    """A seed is one way to run; another is another."""

    def test_the_same_again(self) -> None:
        for seed in (0, 1, 12345):
            first = bochs.Interleaving.of(seed)
            self.assertEqual(first, bochs.Interleaving.of(seed))
            self.assertTrue(1 <= first.quantum <= 32)
        self.assertEqual(len({bochs.Interleaving.of(seed) for seed in range(50)}), 50)

    def test_the_emulator_is_told(self) -> None:
        way = bochs.Interleaving.of(7)
        emulator = bochs.Emulator(HERE, cpus=4, seed=7)
        with mock.patch.object(bochs, "BIOS", HERE), mock.patch.object(bochs, "VGA_BIOS", HERE):
            text = bochs.configuration(emulator, HERE, {}, HERE, False)
        self.assertIn(f"ips={way.instructions_per_second}, quantum={way.quantum}\n", text)
        self.assertIn(f"time0={way.date}\n", text)

    def test_the_order_of_the_tests(self) -> None:
        entries = [entry(f"t{number}") for number in range(30)]
        orders = set()
        for seed in (0, 1, 2):
            emulator = bochs.Emulator(HERE, seed=seed)
            parts = Parts(HERE, HERE, emulator, HERE, Limits(), False)
            with mock.patch("os.cpu_count", return_value=1):
                (boot,) = make_boots(parts, entries)
            names = tuple(step.name for step in boot.plan.groups[0].steps)
            self.assertEqual(sorted(names), sorted(each.step.name for each in entries))
            orders.add(names)
            if seed == 0:
                self.assertEqual(names, tuple(each.step.name for each in entries))
        self.assertEqual(len(orders), 3)


class Long(unittest.TestCase):
    """Long tests have machines of their own, with more memory."""

    def test_machines(self) -> None:
        entries = [entry("a"), replace(entry("b"), long=True), entry("c", "ept=0")]
        parts = Parts(HERE, HERE, bochs.Emulator(HERE), HERE, Limits(), False)
        boots = make_boots(parts, entries)
        self.assertEqual([boot.name for boot in boots], ["machine-1", "long-1", "ept0"])
        self.assertEqual([boot.programs for boot in boots], [("a",), ("b",), ("c",)])
        memory = [boot.parts.emulator.megabytes for boot in boots]
        self.assertGreater(memory[1], memory[0])
        self.assertEqual(memory[0], memory[2])


class Choice(unittest.TestCase):
    """Tests by name."""

    def test_names(self) -> None:
        lists = [TestList([entry("a"), entry("a", "ept=0"), entry("b")], {"c": "no such thing"})]

        def names(only: str | None) -> list[str]:
            return [each.step.name for each in choose(lists, only)]

        self.assertEqual(names(None), ["a", "a[ept=0]", "b"])
        long = replace(entry("l"), long=True)
        lists[0].entries.append(long)
        self.assertEqual(names(None), ["a", "a[ept=0]", "b"])
        self.assertEqual(names("l b"), ["b", "l"])
        self.assertEqual(choose(lists, None, full=True)[-1], long)
        self.assertEqual(names("b a"), ["a", "a[ept=0]", "b"])
        self.assertEqual(names("a[ept=0]"), ["a[ept=0]"])
        for only in ("d", "a d", "c", "a c"):
            with self.assertRaises(MachineError, msg=only):
                names(only)


class Parameters(unittest.TestCase):
    """Parameters of kvm_intel for a whole run."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self._kernel = Path(scratch.name)
        module = self._kernel / "arch/x86/kvm/kvm-intel.ko"
        module.parent.mkdir(parents=True)
        module.write_bytes(b"\0parmtype=ept:bool\0parmtype=vpid:bool\0parmtype=ple_gap:uint\0")

    def test_in_one_order(self) -> None:
        self.assertEqual(parameters_of("vpid=0  ept=0 vpid=0", self._kernel), "ept=0 vpid=0")
        self.assertEqual(parameters_of("", Path("/nonexistent")), "")

    def test_bad_ones(self) -> None:
        for text in ("pt=0", "ept", "ept=", "=0", "ept=0 ept=1", "nonsense=1"):
            with self.assertRaises(MachineError, msg=text):
                parameters_of(text, self._kernel)
        with self.assertRaises(MachineError):
            parameters_of("ept=0", Path("/nonexistent"))

    def test_which_runs_fit(self) -> None:
        entries = [
            entry("a"),
            entry("b", "", "-x"),
            entry("a", "ept=0 vpid=0"),
            entry("a", "ept=0"),
            entry("c", "vpid=0"),
        ]
        chosen = with_parameters(entries, "ept=0")
        self.assertEqual([each.step.name for each in chosen], ["a[ept=0]", "b"])
        self.assertEqual([each.step.may_skip for each in chosen], [False, True])
        self.assertEqual(with_parameters(entries, ""), entries)
        self.assertEqual(len(with_parameters(entries, "ept=0 vpid=0")), 2)
        with self.assertRaises(MachineError):
            with_parameters(entries[2:], "eptad=0")

    def test_the_plain_machine_has_them(self) -> None:
        parts = Parts(HERE, HERE, bochs.Emulator(HERE), HERE, Limits(), False)
        chosen = with_parameters([entry("a"), entry("a", "ept=0")], "ept=0")
        (boot,) = make_boots(parts, chosen, "ept=0")
        self.assertEqual(boot.name, "machine-1")
        self.assertIn("load kvm-intel ept=0\n", guest_script(boot.plan))
        self.assertEqual(replace(chosen[0], parameters="ept=0"), entry("a", "ept=0"))


if __name__ == "__main__":
    unittest.main()
