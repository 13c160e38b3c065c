# SPDX-License-Identifier: GPL-2.0
"""The oracle on an image: when a run ends, and what it has proven."""

from __future__ import annotations

import contextlib
import io
import json
import re
import time
from pathlib import Path
from unittest import mock

import bochs
import tlbsan_image
from bochs import Emulator
from boot_file import Order
from tests.test_boot_file import DISK, Files
from tests.test_reports import line
from tlbsan_image import Run

# A fake emulator: prints what is in `console`, counts what is in `counted`, and waits for its end
# if there is a file `waits`. Once there is a file `ready`, an hour has passed.
FAKE = """#!/bin/sh
here=${TLBSAN_OUT%/*}
finish() { cp $here/counted $TLBSAN_OUT; exit 0; }
trap finish TERM
cp $here/found $TLBSAN_REPORTS
cat $here/console >$here/kernel.log
cat $here/said
: >$here/ready
[ ! -e $here/waits ] || while :; do sleep 0.05; done
finish
"""
POWERED_OFF = "[ACPI ] >>PANIC<< ACPI control: soft power off\n"
GUESTS = {"vmentry.L1": 20, "vmentry.L2": 2, "invvpid.all": 3, "tlbsan.walks": 9}


class Clock:
    """In place of `time`: a busy host may take long to start the fake emulator."""

    def __init__(self, ready: Path) -> None:
        self._ready = ready

    def monotonic(self) -> float:
        """Seconds, an hour more once the emulator has done all it is to do."""
        return time.monotonic() + 3600 * self._ready.exists()

    sleep = staticmethod(time.sleep)


class Runs(Files):
    """With an emulator that does as it is told."""

    def setUp(self) -> None:
        super().setUp()
        self.emulator = self.file(FAKE.encode(), "fake")
        self.emulator.chmod(0o755)

    def _run(
        self,
        console: str,
        counters: dict[str, int] | None = None,
        found: tuple[dict, ...] = (),
        said: str = "",
        waits: bool = False,
        done: str = "",
        seconds: float = 3610,
        counts: bool = True,
    ) -> tuple[int, str]:
        """The status and the report."""
        regions = [{"region": name, "seq": 0, "counters": counters or {}} for name in ("boot",)]
        regions += [{**regions[0], "region": "TOTAL"}] * counts
        self.file("".join(json.dumps(each) + "\n" for each in regions).encode(), "counted")
        self.file("".join(json.dumps(each) + "\n" for each in found).encode(), "found")
        self.file(console.encode(), "console")
        self.file(said.encode(), "said")
        for name in ("waits", "ready"):
            (self.directory / name).unlink(missing_ok=True)
        if waits:
            self.file(b"", "waits")
        run = Run(
            Order(self.file(DISK, "disk")),
            Emulator(self.emulator),
            self.directory,
            seconds,
            re.compile(done) if done else None,
        )
        text = io.StringIO()
        here = Path("/")
        with (
            mock.patch.object(bochs, "BIOS", here),
            mock.patch.object(bochs, "VGA_BIOS", here),
            mock.patch.object(tlbsan_image, "_LAST_WORDS", 0.2),
            mock.patch.object(tlbsan_image, "time", Clock(self.directory / "ready")),
            contextlib.redirect_stdout(text),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            status = tlbsan_image.run_image(run)
        self.assertIn("mode=volatile", (self.directory / "bochs.conf").read_text())
        return status, text.getvalue()

    def test_switched_off(self) -> None:
        status, text = self._run("all well\n", GUESTS, said=POWERED_OFF)
        self.assertEqual(status, 0)
        self.assertIn("CLEAN: 22 entries", text)
        self.assertIn("entries   L1 20, L2 2, refused 0", text)
        self.assertIn("all 3", text)

    def test_an_oracle_that_sees_nothing(self) -> None:
        status, text = self._run("all well\n", {"vmentry.L1": 20}, said=POWERED_OFF)
        self.assertEqual(status, 2)
        self.assertIn("the oracle has seen no page walk", text)

    def test_the_line_it_waits_for(self) -> None:
        status, text = self._run("up\nlogin done\nmore\n", GUESTS, waits=True, done="done$")
        self.assertEqual(status, 0)
        self.assertIn("DONE: login done", text)
        status, text = self._run("up\n", GUESTS, waits=True, done="done$", seconds=1800)
        self.assertEqual(status, 2)
        self.assertIn("NOTHING IS PROVEN: no line had DONE", text)
        status, text = self._run("up\n", GUESTS, said=POWERED_OFF, done="done$")
        self.assertEqual(status, 2)
        self.assertIn("switched off before", text)

    def test_time_is_over(self) -> None:
        status, text = self._run("up\n", GUESTS, waits=True, seconds=1800)
        self.assertEqual(status, 0)
        self.assertIn("TIME: 1800 s are over", text)
        status, text = self._run("a menu that is drawn", GUESTS, waits=True, seconds=1800)
        self.assertEqual(status, 0)
        status, text = self._run("", GUESTS, waits=True, seconds=1800)
        self.assertEqual(status, 2)
        self.assertIn("serial port was silent", text)

    def test_nothing_was_run(self) -> None:
        status, text = self._run("up\n", {"instr.root": 9}, said=POWERED_OFF)
        self.assertEqual(status, 2)
        self.assertIn("no guest was entered", text)
        status, text = self._run("up\n", GUESTS, said=POWERED_OFF, counts=False)
        self.assertEqual(status, 2)
        self.assertIn("killed before it wrote", text)

    def test_ends_badly(self) -> None:
        for panic in (
            "Kernel panic - not syncing: no init",
            "(XEN) Panic on CPU 0:",
            "(XEN) Hardware Dom0 crashed: 'noreboot' set - not rebooting.",
        ):
            status, text = self._run(f"up\n{panic}\n", GUESTS, waits=True)
            self.assertEqual(status, 2)
            self.assertIn(f"the console shows {panic!r}", text)
        status, text = self._run("up\n", GUESTS, said="[CPU0 ] >>PANIC<< 3rd exception\n")
        self.assertEqual(status, 2)
        self.assertIn("by itself: 3rd exception", text)

    def test_stale(self) -> None:
        counters = {**GUESTS, "tlbsan.stale": 1, "tlbsan.stale.other_page": 1}
        status, text = self._run("up\n", counters, (line("boot"),), said=POWERED_OFF)
        self.assertEqual(status, 1)
        self.assertIn("stale: other_page in L2 on CPU 0", text)
        self.assertIn("STALE: 1 uses", text)
        status, text = self._run("", counters, (line("boot"),), waits=True, seconds=1800)
        self.assertEqual(status, 1)
        noted = line("boot", "guestowned")
        counters = {**GUESTS, "tlbsan.guestowned": 1, "tlbsan.guestowned.other_page": 1}
        status, text = self._run("up\n", counters, (noted,), said=POWERED_OFF)
        self.assertEqual(status, 0)
        self.assertIn("1 guestowned (other_page 1)", text)
