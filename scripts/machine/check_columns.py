#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Does all text fit in 100 columns? Of Markdown and Python every line counts, of other files the
comments: the formatters and checkpatch see to the code.

A line of one word has nowhere to break: a link, a path.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

_MOST = 100
_EVERY_LINE = (".md", ".py")
# A comment on a line of its own, and one after code; C's and Rust's may go on with "*".
_SLASHES = (".c", ".cc", ".h", ".rs", ".S")
_SLASH_COMMENT = re.compile(r"^\s*(//|/\*|\*)|\s(//|/\*)\s")
_HASH_COMMENT = re.compile(r"^\s*#")
_MARKS = re.compile(r"^[\s/*#>|-]*(\[[^]]*\]:)?")


def too_long(name: str, text: str) -> Iterator[tuple[int, int]]:
    """The lines of the file NAME that are too long: their numbers, and how long they are."""
    suffix = Path(name).suffix
    comment = _SLASH_COMMENT if suffix in _SLASHES else _HASH_COMMENT
    for number, line in enumerate(text.splitlines(), start=1):
        columns = len(line.expandtabs(8))
        if columns <= _MOST or not (suffix in _EVERY_LINE or comment.search(line)):
            continue
        if len(_MARKS.sub("", line).split()) > 1:
            yield number, columns


def main() -> int:
    """Print the lines that are too long; 0 if there are none."""
    found = [
        f"{name}:{number}: {columns} columns, more than {_MOST}"
        for name in sys.argv[1:]
        for number, columns in too_long(name, Path(name).read_text(encoding="utf-8"))
    ]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
