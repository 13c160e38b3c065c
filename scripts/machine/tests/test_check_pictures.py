# SPDX-License-Identifier: GPL-2.0
"""A picture that names what is not there is found out."""

import tempfile
import unittest
from pathlib import Path

import check_pictures

PATCH = """\
--- a/arch/x86/kvm/a.c
+++ b/arch/x86/kvm/a.c
@@ -1,2 +1,2 @@ static void caller(void)
-	gone();
+	come();
"""


def picture(file, name):
    return (
        f'<svg><g data-file="{file}"><text>Of <tspan class="name">{name}</tspan></text></g></svg>'
    )


class Pictures(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.checkout = Path(directory.name)
        (self.checkout / "patches/linux-7.3").mkdir(parents=True)
        (self.checkout / "patches/linux-7.3/0001-a.patch").write_text(PATCH)
        (self.checkout / "own.rs").write_text("// executes\nfn execute() {}\n")

    def problems(self, file, name):
        return check_pictures.problems(picture(file, name), self.checkout)

    def test_names_that_are_there(self):
        self.assertEqual(self.problems("own.rs", "execute"), [])
        self.assertEqual(self.problems("arch/x86/kvm/a.c", "come"), [])
        self.assertEqual(self.problems("arch/x86/kvm/a.c", "caller"), [])

    def test_names_that_are_not(self):
        self.assertEqual(self.problems("own.rs", "exec"), ["own.rs has no exec"])
        self.assertEqual(len(self.problems("own.rs", "executes")), 1)
        self.assertEqual(len(self.problems("arch/x86/kvm/a.c", "gone")), 1)
        self.assertEqual(len(self.problems("arch/x86/kvm/b.c", "come")), 1)

    def test_a_picture_without_names(self):
        self.assertEqual(check_pictures.problems("<svg/>", self.checkout), ["it has no names"])


if __name__ == "__main__":
    unittest.main()
