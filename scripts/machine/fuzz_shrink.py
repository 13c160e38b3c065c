# SPDX-License-Identifier: GPL-2.0
"""The least of a string of operations that still fails.

Trying one string costs little, a boot for it much. So many strings are tried at a time: all that
lack one chunk, and then all that lack several of the chunks that are not needed alone.
"""

from __future__ import annotations

from collections.abc import Callable

from fuzz_run import OP_DIGITS

# In one boot.
_MOST = 40

# Which of some strings fail; fewer answers if the machine has ended.
Fails = Callable[[list[str]], list[bool]]


def shrink(string: str, fails: Fails) -> str | None:
    """A string as small as can be found; None if STRING does not fail alone."""
    ops = [string[at : at + OP_DIGITS] for at in range(0, len(string), OP_DIGITS)]
    start = _shortest_start(ops, fails)
    if start is None:
        return None
    ops = start
    size = max(1, len(ops) // 4)
    while True:
        ops, dropped = _drop(ops, size, fails)
        if size > 1:
            size //= 2
        elif not dropped:
            return "".join(ops)


def _shortest_start(ops: list[str], fails: Fails) -> list[str] | None:
    step = max(1, len(ops) // _MOST)
    starts = [ops[:end] for end in range(step, len(ops), step)] + [ops]
    answers = _try(starts, fails)
    return next((start for start, failed in zip(starts, answers, strict=False) if failed), None)


def _drop(ops: list[str], size: int, fails: Fails) -> tuple[list[str], bool]:
    """Without the chunks of SIZE that are not needed."""
    chunks = range(0, len(ops), size)
    answers = _try([_without(ops, [at], size) for at in chunks], fails)
    needless = [at for at, failed in zip(chunks, answers, strict=False) if failed]
    if not needless:
        return ops, False
    # More and more of them: one may be needed where another is not there.
    several = [_without(ops, needless[:count], size) for count in range(2, len(needless) + 1)]
    answers = _try(several, fails)
    left = [several[i] for i, failed in enumerate(answers) if failed]
    return (left[-1] if left else _without(ops, needless[:1], size)), True


def _without(ops: list[str], chunks: list[int], size: int) -> list[str]:
    gone = {at + i for at in chunks for i in range(size)}
    return [op for at, op in enumerate(ops) if at not in gone]


def _try(candidates: list[list[str]], fails: Fails) -> list[bool]:
    answers: list[bool] = []
    for at in range(0, len(candidates), _MOST):
        part = ["".join(ops) for ops in candidates[at : at + _MOST]]
        got = fails(part)
        answers += got + [False] * (len(part) - len(got))
    return answers
