# SPDX-License-Identifier: GPL-2.0
"""A started program and all that it starts: none of them outlives the `with` block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Self


def unwind_on_signals() -> None:
    """SIGINT and SIGTERM reach the blocks that stop the programs. A shell's background job starts
    with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class ProcessGroup:
    """Of a program that was started with a session of its own."""

    _process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
