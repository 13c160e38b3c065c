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
# The file has each histogram of the event.
TRANSITION = """
{ vcpu_id:          0, vpid12:          1, why:          4 } hitcount:         10
{ vcpu_id:          0, vpid12:          2, why:          0 } hitcount:          5
{ vcpu_id:          0, vpid12:          2, why:          1 } hitcount:          3
{ vcpu_id:          0, vpid12:          0, why:          2 } hitcount:          1

Totals:
    Hits: 19
    Entries: 4
    Dropped: 0

{ vcpu_id:          0, eptp12:    5316702 } hitcount:          9
{ vcpu_id:          0, eptp12:          0 } hitcount:          8

Totals:
    Hits: 18
    Entries: 2
    Dropped: 1

{ vcpu_id:          0, vm_id:          7, vp_id:          1 } hitcount:         12
{ vcpu_id:          0, vm_id:          7, vp_id:          0 } hitcount:          1
{ vcpu_id:          0, vm_id:          0, vp_id:          0 } hitcount:          3
"""
# What the kernel takes, the test in the machine shows.
MACHINE_TEST = Path(__file__).resolve().parents[3] / "selftests/trace_ids.c"


class Top(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.tracing = Path(directory.name)
        for histogram in top.HISTOGRAMS:
            self.place(histogram.event).mkdir(parents=True, exist_ok=True)
            (self.place(histogram.event) / "hist").write_text("")
        self.write("nvmx_flush", FLUSH)
        self.write("nvmx_transition", TRANSITION)

    def place(self, event):
        return self.tracing / "events" / top.SYSTEM / event

    def write(self, event, text):
        (self.place(event) / "hist").write_text(text)

    def test_a_line_is_keys_and_a_count(self):
        counts = top.parse(FLUSH, top.FLUSHES.fields)
        self.assertEqual(counts, Counter({(1, 3, 2): 7, (0, 3, 2): 12, (0, 0, 5): 4}))

    def test_histograms_of_one_event_are_told_apart(self):
        counts = top.parse(TRANSITION, top.EPTP12S.fields)
        self.assertEqual(counts, Counter({(0, 5316702): 9, (0, 0): 8}))

    def test_triggers_are_set_and_taken_back(self):
        trigger = self.place("nvmx_flush") / "trigger"
        trigger.write_text("somebody's ")
        own = "hist:keys=vcpu_id,cause,executed:size=4096"
        with top.histograms(self.tracing):
            self.assertEqual(trigger.read_text(), "somebody's " + own)
        self.assertEqual(trigger.read_text(), "somebody's " + own + "!" + own)

    def test_the_kernel_takes_the_triggers_of_transitions(self):
        text = MACHINE_TEST.read_text(encoding="utf-8")
        for histogram in top.HISTOGRAMS:
            self.assertLessEqual(len(histogram.fields), 3)
            if histogram.event == "nvmx_transition":
                self.assertIn(f'"{histogram.trigger()}"', text)

    def test_the_report_has_distinct_l2s_switches_and_flushes_by_cause(self):
        with top.histograms(self.tracing) as files:
            report = json.loads(top.report(top.read(files)))
        own = report["vcpus"]["0"]
        self.assertEqual((own["vpid12s"], own["eptp12s"], own["hyperv_l2s"]), (2, 1, 2))
        self.assertEqual((own["entries"], own["switches"]), (19, 13))
        self.assertEqual(own["flushes"], {"guest": 12, "all": 4})
        self.assertEqual(own["executed"], {"INVVPID single": 12, "INVEPT all": 4})
        self.assertEqual(report["vcpus"]["1"]["entries"], 0)
        self.assertEqual(report["not_counted"], 1)

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
