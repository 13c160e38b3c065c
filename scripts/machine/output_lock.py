# SPDX-License-Identifier: GPL-2.0
"""One run at a time in an output directory, which has the results of that run alone."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

from errors import MachineError

# What runs write there at their end.
_RESULTS = ("*.ktap", "*.xml", "*.json", "*.md")


def lock(output: Path) -> TextIO:
    """Two runs would write the same logs and images. Held until the file is closed. What an
    earlier run has found is dropped: this one may not come to its end."""
    held = open(output / ".lock", "w", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held.close()
        raise MachineError(f"another run uses {output}: wait for it, or end it") from error
    for pattern in _RESULTS:
        for path in output.glob(pattern):
            path.unlink()
    return held
