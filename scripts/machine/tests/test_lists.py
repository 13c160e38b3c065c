# SPDX-License-Identifier: GPL-2.0
"""The committed lists: what stands in them is run, and what is to run stands in them."""

from __future__ import annotations

import re
import tempfile
import unittest
from pathlib import Path

from errors import MachineError
from plan import Group, Plan, Step, guest_script
from suite import FAULT_PLAN, OWN_PLAN, UPSTREAM_LIST
from testlist import TestList, check_names, read_own_plan, read_upstream_list, unlisted

SELFTESTS = OWN_PLAN.parent
# What other commands of make run, not `make test`.
_WORKLOADS = {"hook_costs", "soak", "vms_in_turn"}


def read_all() -> list[TestList]:
    """All lists."""
    return [read_upstream_list(UPSTREAM_LIST), read_own_plan(OWN_PLAN), read_own_plan(FAULT_PLAN)]


class Committed(unittest.TestCase):
    """Nothing is forgotten, nothing is there twice."""

    def test_every_program_is_run(self) -> None:
        programs = {path.stem for path in SELFTESTS.glob("*.c")}
        planned = {entry.program for each in read_all()[1:] for entry in each.entries}
        self.assertEqual(programs, planned | _WORKLOADS)

    def test_every_option_is_known(self) -> None:
        shared = [path.read_text() for path in SELFTESTS.glob("lib/*.c")]
        unknown = []
        for entry in read_own_plan(OWN_PLAN).entries:
            own = (SELFTESTS / f"{entry.program}.c").read_text()
            for word in entry.step.command:
                known = re.compile(rf'"{word}"|{{ "{word[2:]}"')
                if word.startswith("--") and not any(map(known.search, [own, *shared])):
                    unknown.append((entry.program, word))
        self.assertEqual(unknown, [])

    def test_one_name_is_one_result(self) -> None:
        lists = read_all()
        check_names(lists)
        with self.assertRaises(MachineError):
            check_names([*lists, lists[0]])
        steps = (Step("a", ("/tests/a",)), Step("a", ("/tests/b",)))
        guest_script(Plan((Group("absent", "", "absent", steps[:1]),)))
        with self.assertRaises(MachineError):
            guest_script(Plan((Group("absent", "", "absent", steps),)))

    def test_programs_that_no_line_is_about(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch)
            (directory / "x86").mkdir()
            for name in ("x86/state_test", "amx_test"):
                (directory / name).touch()
            self.assertEqual(unlisted(read_all()[:1], directory), [])
            (directory / "x86/new_test").touch()
            self.assertEqual(unlisted(read_all()[:1], directory), ["new_test"])


if __name__ == "__main__":
    unittest.main()
