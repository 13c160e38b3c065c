# SPDX-License-Identifier: GPL-2.0
"""The patch that puts the module into a kernel tree, on a tree of a few lines."""

from __future__ import annotations

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from errors import MachineError
from in_tree import (
    CHECKOUT,
    MODULE,
    SELFTESTS,
    check_tree,
    differences,
    patches_for,
    render,
    wanted_version,
)

HEADER = "arch/x86/kvm/nvmx_hooks.h"
PATCHES = CHECKOUT / "patches/linux-7.2"
TREE = {
    "Kbuild": "# SPDX\n",
    "Makefile": "# SPDX\nVERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 12\n",
    "MAINTAINERS": "KVM GUEST_MEMFD\nS:\tSupported\n\nKVM PARAVIRT (KVM/paravirt)\nS:\tSupported\n",
    "arch/x86/kvm/Kconfig": "if VIRTUALIZATION\n\nendif # VIRTUALIZATION\n",
    "arch/x86/kvm/Makefile": "obj-y += kvm-intel.o\n\nAFLAGS_svm/vmenter.o := -iquote\n",
    HEADER: f"#define KVM_NVMX_HOOKS_VERSION\t{wanted_version(PATCHES)}\n",
    "arch/x86/Makefile.um": "core-y += arch/x86/crypto/\n\n#\n",
    "arch/x86/um/Kconfig": "endmenu\n\nconfig UML_X86\n",
    "tools/testing/selftests/Makefile": "TARGETS += rust\nTARGETS += sched_ext\n",
}


class InTree(unittest.TestCase):
    """The tree before and after."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.tree = Path(holder.name)
        for name, text in TREE.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        """Write a file of the tree."""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def apply(self) -> None:
        """Apply the patch as everybody does."""
        patch = render(differences(self.tree)).encode()
        command = ["patch", "-p1", "-F0", "-s", "-d", str(self.tree)]
        subprocess.run(command, input=patch, check=True)

    def test_all_of_it_is_there(self) -> None:
        check_tree(self.tree)
        self.apply()
        for name in (f"{MODULE}/Kconfig.kunit", f"{MODULE}/policy_tests/flush.rs"):
            self.assertTrue((self.tree / name).is_file(), name)
        self.assertTrue((self.tree / SELFTESTS / "runs.awk").is_file())
        maintainers = (self.tree / "MAINTAINERS").read_text(encoding="utf-8")
        titles = re.findall(r"^KVM.*", maintainers, re.MULTILINE)
        self.assertEqual(titles, sorted(titles))
        self.assertEqual(len(titles), 3)
        targets = (self.tree / "tools/testing/selftests/Makefile").read_text(encoding="utf-8")
        self.assertEqual(targets.splitlines()[1], "TARGETS += rust_kvm_nvmx")

    def test_once_is_enough(self) -> None:
        self.apply()
        self.assertEqual(differences(self.tree), {})

    def test_another_version(self) -> None:
        self.apply()
        self.write(f"{MODULE}/flush.rs", "// changed\n")
        self.write(f"{MODULE}/old.rs", "// gone since\n")
        self.write(f"{MODULE}/bindings_generated.rs", "// made by a build\n")
        self.assertEqual(set(differences(self.tree)), {f"{MODULE}/flush.rs", f"{MODULE}/old.rs"})
        self.apply()
        self.assertEqual(differences(self.tree), {})
        self.assertFalse((self.tree / MODULE / "old.rs").exists())

    def test_trees_that_will_not_do(self) -> None:
        with self.assertRaisesRegex(MachineError, "no directory"):
            check_tree(self.tree / "nowhere")
        self.write(HEADER, "#define KVM_NVMX_HOOKS_VERSION\t1\n")
        with self.assertRaisesRegex(MachineError, "version 1 of the hooks"):
            check_tree(self.tree)
        (self.tree / HEADER).unlink()
        with self.assertRaisesRegex(MachineError, r"git am .*/linux-7\.2/\*\.patch"):
            check_tree(self.tree)
        self.write("Makefile", "VERSION = 7\nPATCHLEVEL = 20\n")
        with self.assertRaisesRegex(MachineError, "is Linux 7.20, .*porting.md"):
            check_tree(self.tree)
        (self.tree / "Kbuild").unlink()
        with self.assertRaisesRegex(MachineError, "no kernel source tree"):
            check_tree(self.tree)

    def test_which_series(self) -> None:
        self.assertEqual(patches_for(self.tree), PATCHES)
        self.write("Makefile", "all:\n")
        with self.assertRaisesRegex(MachineError, "of no version"):
            patches_for(self.tree)

    def test_the_last_patch_has_the_version(self) -> None:
        line = "#define KVM_NVMX_HOOKS_VERSION\t"
        self.write("0001.patch", f"+{line}8\n")
        self.write("0002.patch", f"-{line}8\n+{line}9\n")
        self.write("0003.patch", f" {line}9\n+\n")
        self.assertEqual(wanted_version(self.tree), "9")
        with self.assertRaisesRegex(MachineError, "defines no"):
            wanted_version(self.tree / "arch")

    def test_a_place_that_is_gone(self) -> None:
        self.write("arch/x86/kvm/Kconfig", "if VIRTUALIZATION\nendif\n")
        with self.assertRaisesRegex(MachineError, "add by hand"):
            differences(self.tree)


if __name__ == "__main__":
    unittest.main()
