# SPDX-License-Identifier: GPL-2.0
"""The live view's reading of the kernel's histograms."""

import json
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import top

FLUSH = """# event histogram
#
# trigger info: hist:keys=vcpu_id,cause,executed:vals=hitcount:sort=hitcount:size=4096 [active]
#

{ vcpu_id:          1, cause:          3, executed:          2 } hitcount:          7
{ vcpu_id:          0, cause:          3, executed:          2 } hitcount:         12
{ vcpu_id:          0, cause:          0, executed:          5 } hitcount:          4

Totals:
    Hits: 23
    Entries: 3
    Dropped: 0
"""
TRANSITION = """
{ vcpu_id:          0, vpid12:          1, why:          4 } hitcount:         10
{ vcpu_id:          0, vpid12:          2, why:          0 } hitcount:          5
{ vcpu_id:          0, vpid12:          0, why:          2 } hitcount:          1
"""


class Top(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.tracing = Path(directory.name)
        for event in top.HISTOGRAMS:
            place = self.tracing / "events" / top.SYSTEM / event
            place.mkdir(parents=True)
            (place / "hist").write_text("")
        self.write("nvmx_flush", FLUSH)
        self.write("nvmx_transition", TRANSITION)

    def place(self, event):
        return self.tracing / "events" / top.SYSTEM / event

    def write(self, event, text):
        (self.place(event) / "hist").write_text(text)

    def test_a_line_is_keys_and_a_count(self):
        counts = top.parse(FLUSH, top.HISTOGRAMS["nvmx_flush"])
        self.assertEqual(counts, Counter({(1, 3, 2): 7, (0, 3, 2): 12, (0, 0, 5): 4}))

    def test_triggers_are_set_and_taken_back(self):
        with top.histograms(self.tracing):
            text = (self.place("nvmx_flush") / "trigger").read_text()
            self.assertEqual(text, "hist:keys=vcpu_id,cause,executed:size=4096")
        text = (self.place("nvmx_flush") / "trigger").read_text()
        self.assertEqual(text, "!hist:keys=vcpu_id,cause,executed:size=4096")

    def test_the_report_has_switches_vpid12s_and_flushes_by_cause(self):
        with top.histograms(self.tracing) as files:
            report = json.loads(top.report(top.read(files)))
        self.assertEqual(report["0"]["vpid12s"], [0, 1, 2])
        self.assertEqual((report["0"]["entries"], report["0"]["switches"]), (16, 10))
        self.assertEqual(report["0"]["flushes"], {"guest": 12, "all": 4})
        self.assertEqual(report["0"]["executed"], {"INVVPID single": 12, "INVEPT all": 4})
        self.assertEqual(report["1"]["entries"], 0)

    def test_without_the_module_it_says_what_to_do(self):
        with self.assertRaisesRegex(top.TopError, "load rust_kvm_nvmx"):
            with top.histograms(self.tracing / "nowhere"):
                pass

    def test_an_unload_meanwhile_ends_it(self):
        with top.histograms(self.tracing) as files:
            (self.place("nvmx_flush") / "hist").unlink()
            with self.assertRaisesRegex(top.TopError, "unloaded"):
                top.read(files)


if __name__ == "__main__":
    unittest.main()
