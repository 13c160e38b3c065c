# SPDX-License-Identifier: GPL-2.0
"""Which lines are too long."""

from __future__ import annotations

import unittest

from check_columns import too_long

WORDS = "word " * 20 + "x"  # 101 columns


class Columns(unittest.TestCase):
    """Text of one line, in a file of each kind."""

    def long(self, name: str, text: str) -> list[tuple[int, int]]:
        return list(too_long(name, text))

    def test_what_is_too_long(self) -> None:
        for name, line in (
            ("a.md", WORDS),
            ("a.md", f"| {WORDS} |"),
            ("a.py", f'x = "{WORDS}"'),
            ("a.c", f"/* {WORDS}"),
            ("a.h", f"\t * {WORDS}"),
            ("a.cc", f"// {WORDS}"),
            ("a.rs", f"    /// {WORDS}"),
            ("a.rs", f"let x = 1; // {WORDS}"),
            ("a.sh", f"\t# {WORDS}"),
            ("a.toml", f"# {WORDS}"),
            ("Makefile", f"#: {WORDS}"),
        ):
            self.assertEqual(self.long(name, f"\n{line}\n")[0][0], 2, (name, line))

    def test_where_the_limit_is(self) -> None:
        self.assertEqual(self.long("a.md", WORDS), [(1, 101)])
        self.assertEqual(self.long("a.md", WORDS[:-2] + "x"), [])
        # A tab is up to 8 columns.
        self.assertEqual(self.long("a.c", "\t* " + "a " * 46), [(1, 102)])
        self.assertEqual(self.long("a.c", "\t* " + "a " * 44 + "b"), [])

    def test_code_is_not_its_matter(self) -> None:
        for name in ("a.c", "a.rs", "a.sh", "plan.txt"):
            self.assertEqual(self.long(name, WORDS), [])

    def test_one_word_cannot_break(self) -> None:
        link = "https://example.org/" + "a" * 100
        for name, line in (("a.md", link), ("a.md", f"[1]: {link}"), ("a.rs", f"// {link}")):
            self.assertEqual(self.long(name, line), [], line)
        self.assertEqual(len(self.long("a.md", f"see {link}")), 1)


if __name__ == "__main__":
    unittest.main()
