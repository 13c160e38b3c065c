#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Is docs/one-flush.svg true? A group of it has an attribute data-file, and text of class "name".
Each such name must be in that file, of the checkout or of the kernel's files in the patches; of
Rust's files not only in a comment."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

_COMMENT = re.compile("//.*")
CHECKOUT = Path(__file__).resolve().parents[2]


def names(picture: str) -> Iterator[tuple[str, str]]:
    """(file, name) for each name in an SVG."""
    for group in Xml.fromstring(picture).iterfind(".//*[@data-file]"):
        for text in group.iterfind(".//*[@class='name']"):
            yield group.attrib["data-file"], text.text or ""


def patched(patches: Path) -> dict[str, str]:
    """What the patches show of each of the kernel's files as it becomes, and of its functions."""
    text: dict[str, str] = defaultdict(str)
    for patch in sorted(patches.glob("*.patch")):
        file = ""
        for line in patch.read_text(encoding="utf-8").splitlines():
            if line.startswith(("--- ", "+++ ")):
                file = line[4:].removeprefix("b/")
            elif line.startswith((" ", "+", "@@ ")):
                text[file] += line + "\n"
    return text


def problems(picture: str, checkout: Path) -> list[str]:
    """What the picture names, and is not there."""
    kernel = patched(checkout / "patches/linux-7.3")
    found = list(names(picture))
    wrong = [] if found else ["it has no names"]
    for file, name in found:
        path = checkout / file
        text = kernel.get(file)
        if path.is_file():
            text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        if text is None:
            wrong.append(f"there is no {file}, nor a patch of it")
        elif not re.search(rf"\b{re.escape(name)}\b", text):
            wrong.append(f"{file} has no {name}")
    return wrong


def main() -> int:
    """Print what is wrong; 0 if nothing is."""
    wrong = [
        f"{path}: {problem}"
        for path in sys.argv[1:]
        for problem in problems(Path(path).read_text(encoding="utf-8"), CHECKOUT)
    ]
    print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
