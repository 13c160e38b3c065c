# SPDX-License-Identifier: GPL-2.0
"""What is sent back from a host with VMX, with a program in the place of virtme-ng."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import image
import silicon
from boots import Parts
from capabilities import Choice, Device, Host
from errors import MachineError
from session import Limits
from vng import Vng

_FAKE = Path(__file__).resolve().parent / "fake_vng.py"
_COSTS = [0, "# cost nothing 1 20 22", "# cost invvpid.single 1 150 160"]


class Costs(unittest.TestCase):
    """Rows of the module that measures."""

    def test_rows(self) -> None:
        rows = silicon.read_costs(["invvpid.address 512 70000 70500"])
        self.assertEqual(rows, [silicon.Cost("invvpid.address", 512, 70000, 70500)])

    def test_other_lines(self) -> None:
        for line in ("", "invvpid.all 1 2", "invvpid.all 1 2 x", "invvpid.all 1 2 3 4"):
            with self.assertRaises(MachineError):
                silicon.read_costs([line])


class RoundTrips(unittest.TestCase):
    """Cycles of workloads."""

    def test_medians_of_both(self) -> None:
        def ran(group: str, *cycles: int) -> list[tuple[str, list[str]]]:
            return [
                (group, ["noise", f"workload w: round_trips 10 tsc {tsc} tlb_flush 3"])
                for tsc in cycles
            ]

        (row,) = silicon.read_round_trips(
            ran("costs", 1000, 3000, 2000) + ran("rust", 900, 1100, 5000)
        )
        self.assertEqual(row, silicon.RoundTrip("w", 200.0, 110.0, 3))

    def test_one_side_alone_is_no_row(self) -> None:
        line = "workload w: round_trips 10 tsc 100 tlb_flush 0"
        self.assertEqual(silicon.read_round_trips([("costs", [line])]), [])


class Result(unittest.TestCase):
    """The whole way, with a guest that is played."""

    def setUp(self) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self._directory = Path(self._scratch.name)
        for name in ("state_test", "nested_workload", silicon.PROGRAM):
            shutil.copy(image.BUSYBOX, self._directory / name)
        (self._directory / "tsmark").write_bytes(b"")
        (self._directory / ".config").write_text("CONFIG_KVM=y\nCONFIG_KVM_INTEL=y\n")
        self._host = Host(Device.WORKS, True, nested_vmx=True)

    def tearDown(self) -> None:
        self._scratch.cleanup()

    def _measure(self, costs: list, host_costs: str = "") -> tuple[int, dict]:
        parts = Parts(
            kernel=self._directory,
            tools=self._directory,
            emulator=Vng(str(_FAKE)),
            output=self._directory / "out",
            limits=Limits(boot=30, silence=30, total=60),
            verbose=False,
            program_directories=(self._directory,),
        )
        order = silicon.Order(commit="abc")
        if host_costs:
            given = self._directory / "costs.txt"
            given.write_text(host_costs)
            order = replace(order, costs=given)
        with (
            mock.patch.dict(os.environ, {"FAKE_STEPS": json.dumps({silicon.PROGRAM: costs})}),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            code = silicon.measure(parts, "state_test", order, self._host, Choice(True, "VMX"))
        return code, json.loads((parts.output / "result.json").read_text())

    def test_all_is_in_the_file(self) -> None:
        code, result = self._measure(_COSTS)
        self.assertEqual((code, result["commit"]), (0, "abc"))
        self.assertIn(" 0 failed", result["suite"]["summary"])
        self.assertEqual(result["round_trips"]["rows"], [])
        (costs,) = result["costs"]
        self.assertEqual(costs["time_of"], silicon.GUEST)
        self.assertEqual(
            costs["rows"][1],
            {"name": "invvpid.single", "pages": 1, "minimum": 150, "median": 160},
        )

    def test_without_costs_it_fails(self) -> None:
        code, result = self._measure([254, "it broke"])
        self.assertEqual((code, result["costs"]), (1, []))

    def test_costs_of_the_host(self) -> None:
        for hypervisor, whose in ((False, silicon.CPU), (True, silicon.BELOW)):
            self._host = replace(self._host, hypervisor=hypervisor)
            _, result = self._measure(_COSTS, "invept.all 1 90 95\n")
            self.assertEqual([each["time_of"] for each in result["costs"]], [whose, silicon.GUEST])

    def test_without_vmx_it_says_why(self) -> None:
        said = io.StringIO()
        with (
            mock.patch.object(silicon, "probe", return_value=Host(Device.ABSENT, False)),
            contextlib.redirect_stderr(said),
        ):
            code = silicon.run_silicon(mock.Mock(), None, silicon.Order())
        self.assertEqual(code, 4)
        self.assertEqual(len(said.getvalue().splitlines()), 1)
        self.assertIn("this CPU has no VMX", said.getvalue())
