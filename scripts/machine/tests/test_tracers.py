# SPDX-License-Identifier: GPL-2.0
"""What the programs that record tracepoints are given."""

import shlex
import unittest
from pathlib import Path

from tracers import TRACERS

WORKLOAD = ("/tests/nested_workload", "--contexts", "2", "--ept", "own", "--rounds", "1")
DOCUMENT = Path(__file__).resolve().parents[3] / "docs/tracing.md"


class Tracers(unittest.TestCase):
    def test_the_workload_is_the_words_at_the_end(self):
        record = TRACERS["perf"].commands("perf", WORKLOAD)["record"]
        self.assertEqual(record[-len(WORKLOAD) :], WORKLOAD)

    def test_bpftrace_takes_it_as_one_word_and_reports_by_itself(self):
        commands = TRACERS["bpftrace"].commands("bpftrace", WORKLOAD)
        self.assertEqual(commands["record"][-2:], ("-c", shlex.join(WORKLOAD)))
        self.assertEqual(list(commands), ["record"])

    def test_the_document_has_what_is_run(self):
        text = " ".join(DOCUMENT.read_text(encoding="utf-8").replace("\\\n", " ").split())
        for name, tracer in TRACERS.items():
            for command in tracer.commands(name, WORKLOAD).values():
                self.assertIn(shlex.join(command), text)


if __name__ == "__main__":
    unittest.main()
