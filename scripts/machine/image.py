# SPDX-License-Identifier: GPL-2.0
"""The boot medium: an ISO with isolinux, the kernel and the initramfs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from errors import MachineError

GUEST = Path(__file__).resolve().parent / "guest"
ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
LDLINUX = Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")
BUSYBOX = Path("/bin/busybox")
# no_timer_check and tsc=reliable: the emulator's timers are exact, and the
# kernel's own checks of them take seconds there. oops=panic: the first fault
# ends the run, before what follows from it. printk.devkmsg: the step marks and
# signs of life must not fall to the rate limit. nokaslr: functions are named by
# their addresses in vmlinux.
KERNEL_ARGUMENTS = (
    "console=ttyS0,115200 tsc=reliable no_timer_check oops=panic printk.devkmsg=on nokaslr"
)
# One that a kernel with MODULE_SIG_FORCE must refuse.
UNSIGNED = "unsigned.ko"
_KERNEL_MODULES = {
    "irqbypass": "virt/lib/irqbypass.ko",
    "kvm": "arch/x86/kvm/kvm.ko",
    "kvm-intel": "arch/x86/kvm/kvm-intel.ko",
}


def fill_root(root: Path, kernel: Path, modules: tuple[Path, ...], tools: Path) -> None:
    """Put busybox, KVM's modules, MODULES and the guest's own scripts into the directory ROOT."""
    for name in ("proc", "sys", "dev", "tmp"):
        (root / name).mkdir()
    add(root, "bin/busybox", _read(BUSYBOX, "package busybox-static"))
    add(root, "bin/tsmark", _read(tools / "tsmark", "guest tools"))
    for name in ("without", "undone", "refused"):
        add(root, f"bin/{name}", _read(GUEST / name, "the checkout"))
    for name in ("init", "vng-run"):
        add(root, name, _read(GUEST / name, "the checkout"))
    add(root, "machine.sh", _read(GUEST / "machine.sh", "the checkout"), 0o644)
    for name, path in module_files(kernel).items():
        add(root, f"modules/{name}.ko", _read(path, "kernel build"), 0o644)
    for module in modules:
        add(root, f"modules/{module.name}", _read(module, "module build"), 0o644)
    if configured(kernel, "DEBUG_INFO", "y"):
        # As the kernel's modules_install does it: the machine's memory is small. BTF stays.
        _run(["strip", "--strip-debug", *map(str, (root / "modules").iterdir())])
    if configured(kernel, "MODULE_SIG_FORCE", "y"):
        _sign(kernel, root / "modules")


def _sign(kernel: Path, modules: Path) -> None:
    """Sign all MODULES with KERNEL's own key, and keep one as it was."""
    for module in sorted(modules.iterdir()):
        unsigned = module.read_bytes()
        certs = kernel / "certs"
        key = (certs / "signing_key.pem", certs / "signing_key.x509")
        _run([str(word) for word in (kernel / "scripts/sign-file", "sha256", *key, module)])
        (modules / UNSIGNED).write_bytes(unsigned)


def add(root: Path, path: str, data: bytes, mode: int = 0o755) -> None:
    """Put a file at PATH below ROOT."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(mode)


def archive(root: Path) -> bytes:
    """All of ROOT as an initramfs. Not by the kernel's gen_init_cpio: that of a KDIR needs the
    libraries of the system it was built on."""
    names = [str(path.relative_to(root)) for path in sorted(root.rglob("*"))]
    command = [str(BUSYBOX), "cpio", "-o", "-H", "newc", "-R", "0:0"]
    return _run(command, "\n".join(names).encode(), root)


def module_files(kernel: Path) -> dict[str, Path]:
    """KVM's modules in a kernel's build, by name."""
    files = {name: kernel / where for name, where in _KERNEL_MODULES.items()}
    options = (("kvm", "KVM"), ("kvm-intel", "KVM_INTEL"), ("irqbypass", "IRQ_BYPASS_MANAGER"))
    for name, option in options:
        # A file may be left from a build with another configuration.
        built_in = configured(kernel, option, "y")
        if built_in or (name == "irqbypass" and not files[name].exists()):
            del files[name]
    return files


def release(kernel: Path) -> tuple[int, ...]:
    """As (7, 3), of a KERNEL that was built."""
    text = _read(kernel / "include/config/kernel.release", "kernel build").decode()
    return tuple(map(int, text.split("-")[0].split(".")[:2]))


def configured(kernel: Path, option: str, value: str) -> bool:
    """Whether KERNEL was configured with OPTION=VALUE."""
    try:
        lines = (kernel / ".config").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return f"CONFIG_{option}={value}" in lines


def needs_libraries(program: Path) -> bool:
    """Whether an ELF file names a program that is to load its libraries."""
    with open(program, "rb") as file:
        try:
            return any(ELFFile(file).iter_segments("PT_INTERP"))
        except ELFError:
            return False


def add_host_tool(root: Path, tool: Path) -> None:
    """Put a program of the toolchain's at /bin, and its libraries where it looks for them."""
    add(root, f"bin/{tool.name}", _read(tool, "the toolchain"))
    for word in _run(["ldd", str(tool)]).decode().split():
        if word.startswith("/"):
            add(root, word[1:], _read(Path(word), "the toolchain"))


def add_program(root: Path, program: Path) -> None:
    """Put PROGRAM under /tests, without its symbols: they would triple what is booted."""
    add(root, f"tests/{program.name}", _read(program, "test build"))
    _run(["strip", str(root / "tests" / program.name)])


def add_kselftest(root: Path, installed: Path, modules: tuple[Path, ...]) -> None:
    """Put what kselftest has INSTALLED at /kselftest, and the MODULES where its tests look."""
    shutil.copytree(installed, root / "kselftest")
    for collection in (path for path in (root / "kselftest").iterdir() if path.is_dir()):
        programs = [path for path in collection.iterdir() if _is_elf(path)]
        if programs:
            _run(["strip", *map(str, programs)])
    for module in modules:
        place = f"kselftest/rust_kvm_nvmx/module/{module.name}"
        add(root, place, _read(module, "module build"), 0o644)


def _is_elf(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def build_iso(kernel: Path, root: Path, arguments: str, iso: Path) -> None:
    """Write the ISO that boots KERNEL with ROOT."""
    tree = iso.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    (tree / "bzimage").write_bytes(_read(kernel / "arch/x86/boot/bzImage", "kernel build"))
    (tree / "initrd").write_bytes(archive(root))
    label = f" kernel /bzimage\n append initrd=/initrd {KERNEL_ARGUMENTS} {arguments}\n"
    write_iso(tree, label, iso)
    shutil.rmtree(tree)


def write_iso(tree: Path, label: str, iso: Path) -> None:
    """Write the ISO of TREE, in which isolinux does what LABEL says."""
    (tree / "isolinux.bin").write_bytes(_read(ISOLINUX, "package isolinux"))
    (tree / "ldlinux.c32").write_bytes(_read(LDLINUX, "package syslinux-common"))
    (tree / "isolinux.cfg").write_text(f"default machine\nprompt 0\nlabel machine\n{label}")
    boot = "-b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table"
    _run(["xorriso", "-as", "mkisofs", "-quiet", "-o", str(iso), *boot.split(), str(tree)])


def host_tool(name: str) -> Path:
    """The program NAME of the toolchain."""
    tool = shutil.which(name)
    if tool is None:
        raise MachineError(f"{name} is not installed in the toolchain")
    return Path(tool)


def read_files(paths: dict[str, Path]) -> dict[str, bytes]:
    """What is in PATHS, by the same names."""
    try:
        return {name: path.read_bytes() for name, path in paths.items()}
    except OSError as error:
        raise MachineError(f"{error.filename}: {error.strerror}") from error


def _read(path: Path, source: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MachineError(f"{path}: {error.strerror} (comes from: {source})") from error


def _run(command: list[str], given: bytes = b"", directory: Path | None = None) -> bytes:
    try:
        done = subprocess.run(command, input=given, cwd=directory, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise MachineError(f"{command[0]} is not installed in the toolchain") from error
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise MachineError(f"{command[0]} failed: {last}")
    return done.stdout
