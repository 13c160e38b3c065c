# SPDX-License-Identifier: GPL-2.0
"""What this host can do for a guest that is to have VMX, asked of KVM itself.

That /dev/kvm is there says little: it may belong to somebody else, the CPU may have no VMX, and
KVM may give its guests none.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

DEVICE = Path("/dev/kvm")
CPUINFO = Path("/proc/cpuinfo")
# include/uapi/linux/kvm.h
_API_VERSION = 12
_GET_API_VERSION = 0xAE00
_CREATE_VM = 0xAE01
_GET_SUPPORTED_CPUID = 0xC008AE05
_GET_MSRS = 0xC008AE88
_ENTRIES = 256
_ENTRY = struct.Struct("<10I")
_CPUID_VMX = 1 << 5  # CPUID.1:ECX
# IA32_VMX_EPT_VPID_CAP, as KVM emulates it; SDM, appendix "VPID and EPT Capabilities".
_EPT_VPID_CAP = 0x48C
_WALK_LENGTH_4, _INVEPT, _INVVPID = 1 << 6, 1 << 20, 1 << 32


class Device(StrEnum):
    """What comes of opening /dev/kvm."""

    ABSENT = "absent"
    DENIED = "denied"
    BROKEN = "broken"
    WORKS = "works"


@dataclass(frozen=True)
class Host:
    """The facts."""

    device: Device
    # The VMX flag in /proc/cpuinfo.
    vmx: bool
    # Why the device is broken.
    error: str = ""
    # Whether KVM gives its guests VMX, and EPT and VPID with it.
    nested_vmx: bool = False
    nested_ept: bool = False
    nested_vpid: bool = False
    cpu: str = ""
    # Whether a hypervisor runs this host.
    hypervisor: bool = False


@dataclass(frozen=True)
class Choice:
    """What to do here: by KVM with VMX, or else why not and what would change that."""

    accelerated: bool
    reason: str
    advice: str = ""


def decide(host: Host, owner: str = "") -> Choice:
    """Whether tests can run by KVM on HOST. OWNER is that of /dev/kvm, for people."""
    if host.device is Device.DENIED:
        whose = f" (it belongs to {owner})" if owner else ""
        join = "sudo usermod -aG kvm $USER"
        if ":kvm, " not in owner:
            # Nobody but root may, whatever groups they are in.
            join = f"sudo chgrp kvm {DEVICE} && sudo chmod 660 {DEVICE} && {join}"
        return Choice(
            False,
            f"this user may not open {DEVICE}{whose}",
            f"run `{join}` and log in again, or run as root",
        )
    if host.device is Device.BROKEN:
        return Choice(False, f"{DEVICE} does not work: {host.error}", "look at `dmesg`")
    if not host.vmx:
        return Choice(
            False,
            "this CPU has no VMX, or the firmware or a hypervisor hides it",
            "enable VMX in the firmware, or nested virtualization in the hypervisor",
        )
    if host.device is Device.ABSENT:
        return Choice(
            False,
            f"there is no {DEVICE}",
            "run `sudo modprobe kvm_intel`; in a container, pass it in (docker: --device /dev/kvm)",
        )
    if not host.nested_vmx:
        return Choice(
            False,
            f"{DEVICE} gives its guests no VMX",
            "run `sudo modprobe -r kvm_intel && sudo modprobe kvm_intel nested=1`",
        )
    return Choice(True, f"{DEVICE} gives its guests VMX{_without(host)}")


def _without(host: Host) -> str:
    lacks = [
        name for name, has in (("EPT", host.nested_ept), ("VPID", host.nested_vpid)) if not has
    ]
    return f", without {' and '.join(lacks)}: what needs that is skipped" if lacks else ""


def probe(device: Path = DEVICE, cpuinfo: Path = CPUINFO) -> Host:
    """Ask the kernel."""
    cpu = read_cpuinfo(cpuinfo.read_text(encoding="utf-8", errors="replace"))
    flags = cpu.get("flags", "").split()
    known = {
        "vmx": "vmx" in flags,
        "cpu": cpu.get("model name", "unknown"),
        "hypervisor": "hypervisor" in flags,
    }
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return Host(Device.DENIED, **known)
    except FileNotFoundError:
        return Host(Device.ABSENT, **known)
    except OSError as error:
        return Host(Device.BROKEN, error=str(error.strerror), **known)
    try:
        return _ask(descriptor, known)
    except OSError as error:
        return Host(Device.BROKEN, error=str(error.strerror), **known)
    finally:
        os.close(descriptor)


def read_cpuinfo(text: str) -> dict[str, str]:
    """The first processor's lines."""
    fields = {}
    for line in text.split("\n\n", 1)[0].splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return fields


def _ask(descriptor: int, known: dict) -> Host:
    version = fcntl.ioctl(descriptor, _GET_API_VERSION, 0)
    if version != _API_VERSION:
        return Host(Device.BROKEN, error=f"it is of version {version}", **known)
    # What the device promises is worth nothing if it can make no VM.
    os.close(fcntl.ioctl(descriptor, _CREATE_VM, 0))
    caps = _ept_vpid_cap(descriptor)
    return Host(
        Device.WORKS,
        nested_vmx=_offers_vmx(descriptor),
        nested_ept=caps & (_WALK_LENGTH_4 | _INVEPT) == _WALK_LENGTH_4 | _INVEPT,
        nested_vpid=bool(caps & _INVVPID),
        **known,
    )


def _offers_vmx(descriptor: int) -> bool:
    buffer = bytearray(struct.pack("<II", _ENTRIES, 0) + bytes(_ENTRIES * _ENTRY.size))
    fcntl.ioctl(descriptor, _GET_SUPPORTED_CPUID, buffer)
    (count,) = struct.unpack_from("<I", buffer)
    return any(
        function == 1 and ecx & _CPUID_VMX
        for function, _, _, _, _, ecx, _, *_ in _ENTRY.iter_unpack(buffer[8 : 8 + count * 40])
    )


def _ept_vpid_cap(descriptor: int) -> int:
    buffer = bytearray(struct.pack("<IIIIQ", 1, 0, _EPT_VPID_CAP, 0, 0))
    try:
        found = fcntl.ioctl(descriptor, _GET_MSRS, buffer)
    except OSError:
        # KVM knows no such MSR: it has no VMX to emulate.
        return 0
    return struct.unpack_from("<Q", buffer, 16)[0] if found == 1 else 0


def main() -> int:
    """Says what can be done here, in one line; the argument is the owner of /dev/kvm."""
    choice = decide(probe(), sys.argv[1] if len(sys.argv) > 1 else "")
    print(f"{choice.reason}: {choice.advice}" if choice.advice else choice.reason)
    return 0 if choice.accelerated else 4


if __name__ == "__main__":
    sys.exit(main())
