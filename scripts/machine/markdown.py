# SPDX-License-Identifier: GPL-2.0
"""Lists in Markdown that fit in 100 columns."""

from __future__ import annotations

import re
import textwrap


def wrap(text: str, indent: str) -> list[str]:
    """TEXT in lines, those after the first with INDENT. A number stays with the word before it."""
    text = re.sub(r" (?=x?\d+\b)", "\N{NO-BREAK SPACE}", text)
    lines = textwrap.wrap(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
