# SPDX-License-Identifier: GPL-2.0
"""The table of nets: its rows, and what it says of what the nets have left behind."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from mutant_list import CHECKOUT, Mutant
from nets import INTACT, cells, read_rows, table


def result(group: str, name: str, status: str, **more: Any) -> dict[str, Any]:
    """As in results.json."""
    return {"group": group, "name": name, "status": status, "stale": {}, **more}


class Nets(unittest.TestCase):
    """Rows and cells."""

    def test_each_edit_stands_once_in_its_file(self) -> None:
        rows = read_rows()
        self.assertEqual(rows[0].edit.name, INTACT)
        for row in rows[1:]:
            text = (CHECKOUT / "rust_kvm_nvmx" / row.edit.file).read_text(encoding="utf-8")
            self.assertEqual(text.count(row.edit.old), 1, row.edit.name)

    def test_statuses_and_results_become_cells(self) -> None:
        results = [
            result("absent", "a", "passed"),
            result("loaded", "b[ept=0]", "failed", stale={"other_page": 1}),
            result("machine", "machine-1: no fault outside of the tests", "passed"),
            result("checked", "c", "passed"),
        ]
        row = read_rows()[1]
        with tempfile.TemporaryDirectory() as holder:
            directory = Path(holder) / row.edit.name
            directory.mkdir()
            (directory / "unit.status").write_text("2\n")
            (directory / "compiler.status").write_text("0\n")
            self.assertEqual(cells(directory, row.edit), {"compiler": "no", "unit": "yes"})
            (directory / "results.json").write_text(json.dumps({"results": results}))
            said = cells(directory, row.edit)
            self.assertEqual(
                [said[net] for net in ("tests", "oracle", "compare")], ["yes", "yes", "no"]
            )
            text = table(Path(holder))
            self.assertIn("| b |", text)
            self.assertRegex(text, r"\| unit \| \? \| yes \| ")

    def test_a_net_without_the_edited_file_is_told_from_one_that_did_not_run(self) -> None:
        edit = Mutant("name", "T1", file="nested_tlb.rs")
        self.assertEqual(cells(Path("/nonexistent"), edit)["model"], "-")
        self.assertNotIn("fuzz", cells(Path("/nonexistent"), edit))


if __name__ == "__main__":
    unittest.main()
