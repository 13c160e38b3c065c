# SPDX-License-Identifier: GPL-2.0
"""`run.py shell`: the user's terminal on the machine's first serial port."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import tty

from bochs import Process, configuration
from boots import Boot, Parts, make_image
from call_sites import read_hooks
from errors import MachineError
from plan import MODULE, Plan, probe_lines
from suite import OWN_PLAN, UPSTREAM_LIST
from testlist import read_own_plan, read_upstream_list

_QUIT = b"\x1d"  # Ctrl-]


def run_shell(parts: Parts) -> int:
    """Start the machine and relay until it ends or Ctrl-] is typed."""
    lists = (read_upstream_list(UPSTREAM_LIST), read_own_plan(OWN_PLAN))
    names = dict.fromkeys(entry.program for each in lists for entry in each.entries)
    programs = tuple(name for name in names if parts.has_program(name))
    boot = Boot("shell", Plan(()), programs, parts)
    print(f"making an image of {len(boot.programs)} programs ...", file=sys.stderr, flush=True)
    iso = make_image(boot, {"shell": _shell_script(parts).encode()})
    master, slave = pty.openpty()
    # The guest's own terminal driver does echo and line ends; this one must not.
    tty.setraw(slave)
    config = iso.with_name("bochs.conf")
    serial = {"com1": f"mode=term, dev={os.ttyname(slave)}"}
    log = iso.with_name("bochs.log")
    config.write_text(configuration(parts.emulator, iso, serial, log, parts.verbose))
    print("booting; Ctrl-] ends it, `poweroff -f` too", file=sys.stderr, flush=True)
    with Process(parts.emulator, config, iso.with_name("witness.jsonl")) as process:
        _relay(process, master)
    os.close(master)
    os.close(slave)
    return 0


def _shell_script(parts: Parts) -> str:
    lines = ["exec </dev/ttyS0 >/dev/ttyS0 2>&1", "stty sane 115200"]
    lines += [f"load {name}" for name in ("irqbypass", "kvm", "kvm-intel")]
    if parts.module:
        # Tests that load the module by themselves read what the probes count.
        lines += probe_lines(site for hook in read_hooks(parts.kernel) for site in hook.sites)
        lines.append(f"insmod /modules/{MODULE}.ko && echo {MODULE} is loaded")
    lines += ["echo 'tests are in /tests, tsmark LABEL marks a region'", "setsid cttyhack sh"]
    return "\n".join(lines) + "\n"


def _relay(process: Process, master: int) -> None:
    keyboard, screen = sys.stdin.fileno(), sys.stdout.fileno()
    before = None
    if os.isatty(keyboard):
        before = termios.tcgetattr(keyboard)
        tty.setraw(keyboard)
    sources = [master, keyboard]
    try:
        while not process.ended():
            ready, _, _ = select.select(sources, [], [], 0.2)
            if master in ready:
                _write_all(screen, os.read(master, 4096))
            if keyboard in ready:
                typed = os.read(keyboard, 4096)
                if not typed:
                    sources.remove(keyboard)
                before_quit, quit_key, _ = typed.partition(_QUIT)
                _write_all(master, before_quit)
                if quit_key:
                    return
    except OSError as error:
        raise MachineError(f"the console broke off: {error.strerror}") from error
    finally:
        if before is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
            print(file=sys.stderr)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
