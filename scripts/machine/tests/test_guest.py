# SPDX-License-Identifier: GPL-2.0
"""The script in the machine, run here."""

from __future__ import annotations

import os
import pty
import subprocess
import time
import tty
import unittest

from console import Console
from image import BUSYBOX, GUEST

_LINES = 300
# Each of these processes ends as the shell waits for the port, which is slow and always full.
_SCRIPT = f"""
. {GUEST}/machine.sh
report begin a/a
i=0
while [ $i -lt {_LINES} ]; do
	sleep 0.00$((i % 10)) &
	report counter {"x" * 400}$i 0
	i=$((i + 1))
done
report_taint
report end a/a 0 1 2
"""


class Reports(unittest.TestCase):
    """What it reports."""

    def test_no_signal_loses_a_line(self) -> None:
        master, slave = pty.openpty()
        tty.setraw(slave)
        command = [str(BUSYBOX), "sh", "-c", _SCRIPT]
        console, data = Console(), b""
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave):
            os.close(slave)
            while more := self._read(master):
                data += more
                time.sleep(0.003)
        os.close(master)
        for line in data.decode().splitlines():
            console.tests_line(line)
        self.assertEqual(len(console.steps["a/a"].counters), _LINES)
        self.assertEqual(console.steps["a/a"].status, 0)
        self.assertEqual(console.faults, [])

    def _read(self, master: int) -> bytes:
        try:
            return os.read(master, 400)
        except OSError:
            return b""


if __name__ == "__main__":
    unittest.main()
