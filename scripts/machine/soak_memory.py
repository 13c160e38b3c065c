# SPDX-License-Identifier: GPL-2.0
"""Does memory get less from one look to the next, each when nothing runs?"""

from __future__ import annotations

from statistics import median

# What is used, by what is free or given back at once.
_NOT_USED = ("MemFree", "FreeOfCPUs", "Buffers", "Cached", "SReclaimable")
# In KiB: what the median of the last looks may be above that of the first. SUnreclaim is judged
# only if the objects in each cache are not known: it has the free places between them, too.
_ALLOWED = {
    "SUnreclaim": 64,
    "KernelStack": 48,
    "PageTables": 48,
    "VmallocUsed": 48,
    "Percpu": 48,
    "used": 256,
}
# And the objects in one cache of the slab allocator, and in all.
_ALLOWED_IN_CACHE, _ALLOWED_IN_CACHES = 32, 64
# Caches fill in the first minutes.
_WARM_UP = 2
_LOOKS = 3


def used(look: dict[str, int]) -> int:
    """All that is in use, less what the system had: only differences mean something."""
    return -sum(look.get(name, 0) for name in _NOT_USED)


def of_caches(slabs: list[dict[str, int]]) -> dict[str, float]:
    """By how many KiB the objects in each cache of the slab allocator grew, the most first. SLABS
    has bytes."""
    own = slabs[_WARM_UP:]
    if len(own) < 2 * _LOOKS:
        return {}
    grew = {}
    for name in sorted({name for look in own for name in look}):
        first, last = _medians(own, name)
        grew[name] = (last - first) / 1024
    return dict(sorted(grew.items(), key=lambda item: -item[1]))


def _medians(looks: list[dict[str, int]], name: str) -> tuple[float, float]:
    """Of the first looks, and of the last."""
    first, last = (
        median(look.get(name, 0) for look in part) for part in (looks[:_LOOKS], looks[-_LOOKS:])
    )
    return first, last


def growths(looks: list[dict[str, int]], slabs: list[dict[str, int]]) -> list[str]:
    """What grew by more than it may; nothing if there are too few looks to say so."""
    own = [look | {"used": used(look)} for look in looks[_WARM_UP:]]
    if len(own) < 2 * _LOOKS:
        return []
    caches = of_caches(slabs)
    found = [
        f"leak: objects in {name} grew by {kib:.1f} KiB in {len(own)} looks"
        for name, kib in caches.items()
        if kib > _ALLOWED_IN_CACHE
    ]
    if not found and (grew := sum(caches.values())) > _ALLOWED_IN_CACHES:
        found.append(f"leak: objects in all caches grew by {grew:.1f} KiB in {len(own)} looks")
    for name, allowed in _ALLOWED.items():
        if name == "SUnreclaim" and caches:
            continue
        first, last = _medians(own, name)
        if last - first > allowed:
            found.append(f"leak: {name} grew by {last - first:g} KiB in {len(own)} looks")
    return found
