# SPDX-License-Identifier: GPL-2.0
"""What is in an output directory is of the run that has it."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from errors import MachineError
from output_lock import lock


class Lock(unittest.TestCase):
    """One run at a time."""

    def test_earlier_results_are_gone(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch)
            (output / "machine-1").mkdir()
            for name in ("results.json", "results.ktap", "results.xml", "machine-1/results.json"):
                (output / name).touch()
            lock(output).close()
            kept = sorted(str(path.relative_to(output)) for path in output.rglob("*"))
            self.assertEqual(kept, [".lock", "machine-1", "machine-1/results.json"])

    def test_those_of_a_run_that_goes_on_stay(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch)
            with lock(output):
                (output / "results.json").touch()
                with self.assertRaises(MachineError):
                    lock(output)
            self.assertTrue((output / "results.json").exists())


if __name__ == "__main__":
    unittest.main()
