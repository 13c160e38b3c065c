# SPDX-License-Identifier: GPL-2.0
"""Results as JUnit's XML, which CI servers show: a suite for each group, a case for each test."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from results import Result, Status

# XML 1.0 has no other control characters than these.
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHOWN_OUTPUT = 100


def write_junit(path: Path, name: str, groups: list[tuple[str, str]], tests: list[Result]) -> None:
    """Write TESTS to PATH, with a suite for each of GROUPS, given as (name, title)."""
    root = ElementTree.Element("testsuites", name=name)
    for group, title in groups:
        own = [test for test in tests if test.group == group]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"{group}: {title}",
            tests=str(len(own)),
            failures=str(sum(test.status is Status.FAILED for test in own)),
            skipped=str(sum(test.status is Status.SKIPPED for test in own)),
            time=f"{sum(test.seconds for test in own):.2f}",
        )
        for test in own:
            _add_case(suite, name, group, test)
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_case(suite: ElementTree.Element, name: str, group: str, test: Result) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", name=test.name, classname=f"{name}.{group}", time=f"{test.seconds:.2f}"
    )
    why = _clean("; ".join(test.reasons) or "no reason given")
    if test.status is Status.SKIPPED:
        ElementTree.SubElement(case, "skipped", message=why)
    elif test.status is Status.FAILED:
        failure = ElementTree.SubElement(case, "failure", message=why)
        failure.text = _clean("\n".join(test.output[-_SHOWN_OUTPUT:]))
    if test.left_out:
        output = ElementTree.SubElement(case, "system-out")
        output.text = _clean("not checked, for want of counts:\n" + "\n".join(test.left_out))


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)
