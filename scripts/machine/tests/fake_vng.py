#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Plays virtme-ng and its guest: reads the plan that it is to run and reports on each step as the
guest's script does, without running anything. How a step ends is in $FAKE_STEPS, as JSON:
{"STEP": [STATUS, "LINE", ...]}; all others pass."""

import json
import os
import shlex
import sys
from pathlib import Path


def main() -> int:
    """Plays one boot."""
    words = sys.argv[1:]
    root = Path(shlex.split(words[words.index("--exec") + 1])[-1])
    endings = json.loads(os.environ.get("FAKE_STEPS", "{}"))
    print("[    0.000000] Linux version 7.3.4-fake", file=sys.stderr, flush=True)
    if "died" in endings:
        print("qemu-system-x86_64: cannot set up guest memory", file=sys.stderr, flush=True)
        return 1
    print("\n@machine kernel 7.3.4-fake")
    for line in (root / "plan").read_text().splitlines():
        command, *rest = shlex.split(line)
        if command != "step":
            continue
        state, name, _limit, program, *_ = rest
        if program.startswith("/tests/") and not (root / program[1:]).exists():
            print(f"\n@machine broken {program} is not in the root")
        status, *lines = endings.get(name.partition("/")[2], [0])
        print(f"\n@machine begin {name}", *lines, sep="\n")
        print(f"\n@machine end {name} {status} 1.0 2.0")
    print("\n@machine finished", flush=True)
    return 0


sys.exit(main())
