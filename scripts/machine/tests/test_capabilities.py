# SPDX-License-Identifier: GPL-2.0
"""What a host can do, and what is made of it."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from capabilities import Choice, Device, Host, decide, probe, read_cpuinfo

_INTEL = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu vmx sse\n\nprocessor\t: 1\n"


class Decisions(unittest.TestCase):
    """One host each; only one of them can run tests."""

    def _refused(self, host: Host, owner: str = "") -> Choice:
        choice = decide(host, owner)
        self.assertFalse(choice.accelerated)
        self.assertTrue(choice.advice)
        return choice

    def test_nested_vmx(self) -> None:
        host = Host(Device.WORKS, True, nested_vmx=True, nested_ept=True, nested_vpid=True)
        self.assertEqual(decide(host), Choice(True, "/dev/kvm gives its guests VMX"))

    def test_nested_vmx_without_ept_and_vpid(self) -> None:
        choice = decide(Host(Device.WORKS, True, nested_vmx=True))
        self.assertTrue(choice.accelerated)
        self.assertIn("without EPT and VPID", choice.reason)

    def test_the_device_belongs_to_somebody_else(self) -> None:
        choice = self._refused(Host(Device.DENIED, True), "root:kvm, mode 660")
        self.assertIn("may not open /dev/kvm (it belongs to root:kvm, mode 660)", choice.reason)
        self.assertIn("run `sudo usermod -aG kvm", choice.advice)

    def test_the_device_is_roots_alone(self) -> None:
        choice = self._refused(Host(Device.DENIED, True), "root:root, mode 600")
        self.assertIn("chgrp kvm /dev/kvm && sudo chmod 660", choice.advice)

    def test_that_is_said_even_where_there_is_no_vmx(self) -> None:
        self.assertIn("may not open", self._refused(Host(Device.DENIED, False)).reason)

    def test_no_vmx_with_and_without_a_device(self) -> None:
        for device in (Device.WORKS, Device.ABSENT):
            choice = self._refused(Host(device, False, nested_vmx=True))
            self.assertIn("this CPU has no VMX", choice.reason)

    def test_the_script_says_it_too_where_there_is_no_python(self) -> None:
        choice = decide(Host(Device.ABSENT, False))
        script = Path(__file__).resolve().parents[2] / "silicon"
        self.assertIn(f'"{choice.reason}: {choice.advice}"', script.read_text(encoding="utf-8"))

    def test_no_device(self) -> None:
        choice = self._refused(Host(Device.ABSENT, True))
        self.assertEqual(choice.reason, "there is no /dev/kvm")
        self.assertIn("modprobe kvm_intel", choice.advice)

    def test_nested_is_off(self) -> None:
        choice = self._refused(Host(Device.WORKS, True))
        self.assertIn("gives its guests no VMX", choice.reason)
        self.assertIn("nested=1", choice.advice)

    def test_a_device_that_does_not_work(self) -> None:
        choice = self._refused(Host(Device.BROKEN, True, error="No such device"))
        self.assertIn("No such device", choice.reason)


class Probing(unittest.TestCase):
    """The kernel's files."""

    def _probe(self, device: Path, text: str = _INTEL) -> Host:
        with tempfile.NamedTemporaryFile("w") as cpuinfo:
            cpuinfo.write(text)
            cpuinfo.flush()
            return probe(device, Path(cpuinfo.name))

    def test_first_processor(self) -> None:
        fields = read_cpuinfo(_INTEL)
        self.assertEqual((fields["processor"], fields["model name"]), ("0", "Some CPU"))

    def test_no_device(self) -> None:
        host = self._probe(Path("/nonexistent"))
        self.assertEqual((host.device, host.vmx, host.cpu), (Device.ABSENT, True, "Some CPU"))

    def test_vmx_is_a_word_of_the_flags(self) -> None:
        self.assertFalse(self._probe(Path("/nonexistent"), "flags : fpu xvmx vmx2\n").vmx)

    def test_what_is_no_kvm_is_broken(self) -> None:
        # It opens, and knows none of KVM's ioctls.
        self.assertIs(self._probe(Path("/dev/null")).device, Device.BROKEN)

    def test_a_directory_is_broken(self) -> None:
        self.assertIs(self._probe(Path("/proc")).device, Device.BROKEN)
