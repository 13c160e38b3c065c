# SPDX-License-Identifier: GPL-2.0
"""A report of the oracle in words: which translation, made and used by whom, and what should
have come between."""

from __future__ import annotations

from collections import Counter

from code_names import CodeNames
from reports import Report

_FRAME = 0x000FFFFFFFFFF000
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
# What a TLB may hold of the hypervisor's own tables alone, tagged by EP4TA.
_GUEST_PHYSICAL = {"guest_physical", "ept_dirty", "ept_table"}
_TABLES = {"other_table", "no_table", "ept_table"}
_NOW = {
    "page_fault": "a page fault",
    "no_table": "no next table",
    "ept_refusal": "an EPT violation or misconfiguration",
    "dirty": "the same page, with its dirty flag clear",
    "ept_dirty": "the same page, with its dirty flag in EPT clear",
}

# What an operation names, by its action.
_OPERANDS = {
    "invvpid_address": " of VPID {a}, {b:#x}",
    "invvpid_single": " VPID {a}",
    "invvpid_but_globals": " of VPID {a}",
    "l1_invvpid": " of vpid12 {a}, {b:#x}",
    "invept_single": " EP4TA {ep4ta:#x}",
    "l1_invept": " of EP4TA {ep4ta:#x}",
    "invlpg": " of {b:#x}, PCID {a}",
    "invpcid": " of PCID {a}, {b:#x}",
    "mov_cr3": ", PCID {a}",
    "mov_cr4_pcid": " {a}",
}
# What changed between the two, by the cause: a title, and where it is.
_CHANGED = {
    "other_vcpu": ("vCPU ", "vcpu"),
    "other_vpid12": ("", "vpid12"),
    "other_eptp12": ("", "ep4ta12"),
}
_EPT_LOST_RIGHT = "ept_right"
# So many of each kind are explained in a step; one mistake is found in many places.
_EXPLAINED = 5


def explain_all(found: list[Report], names: CodeNames) -> None:
    """Give all the name of their function, and the first few of each kind their text."""
    seen: Counter = Counter()
    for report in found:
        seen[report.kind] += 1
        report.function = names.guest_function(_hex(report.raw["now"]["rip"]))
        if seen[report.kind] <= _EXPLAINED:
            report.text = explain(report.raw, report.count, report.regions, names)


def explain(raw: dict, count: int, regions: dict[str, int], names: CodeNames) -> list[str]:
    """The lines about one report; COUNT are alike, as many in each of REGIONS."""
    now, old = raw["now"], raw["old"]
    alike = f", the first of {count} alike" if count > 1 else ""
    where = ", ".join(f"{_region(name)} {number}" for name, number in regions.items())
    executed = raw["since"]
    age = now["instructions"] - old["instructions"]
    return [
        f"{raw['report']}: {raw['finding']} in {now['level']} on CPU {now['cpu']}{alike}"
        f" (regions: {where})",
        f"  address    {_address(raw)}",
        f"  tags       {_tags(raw)}",
        f"  may hold   {_old_target(raw)}",
        f"    made by  {names.guest(_hex(old['rip']))}, {_context(old, _old_level(raw))},"
        f" {age:,} instructions before",
        f"  now there  {_new_target(raw)}",
        f"    used by  {names.guest(_hex(now['rip']))}, {_context(now, now['level'])},"
        f" CPL {now['cpl']}",
        f"  missing    {_missing(raw)}",
        f"    because  {raw['debt']}{_change(raw)}",
        *_operations("  promised to this guest since, newest first:", raw["promised"], names),
        *_operations(f"  executed on CPU {now['cpu']} since, newest first:", executed, names),
        *([] if executed else [f"  no invalidation was executed on CPU {now['cpu']} since"]),
    ]


def _region(name: str) -> str:
    """Of a test that marks none there is only the one of the whole step."""
    return "unmarked" if name.startswith("step.") else name


def _hex(value: object) -> int:
    return int(str(value), 16)


def _size(size: int) -> str:
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def _address(raw: dict) -> str:
    size = _size(raw["old"]["size"])
    kind = f"a table's entry over {size}" if raw["finding"] in _TABLES else f"a page of {size}"
    linear = "" if raw["linear"] == "0x0" else f"linear {raw['linear']}"
    # Of a table, the report has the next table in this place.
    walks = raw["finding"] in ("other_table", "no_table")
    guest = "" if walks or raw["guest"] == "0x0" else f"guest-physical {raw['guest']}"
    return f"{', '.join(filter(None, (linear, guest)))}: {kind}"


def _tags(raw: dict) -> str:
    now = raw["now"]
    if _by_ept(raw):
        return f"EP4TA {now['ep4ta']}"
    ept = "no EPT" if _hex(now["ep4ta"]) == 0 else f"EP4TA {now['ep4ta']}"
    return f"{_vpid(now)}, PCID {now['pcid']}, {ept}"


def _vpid(now: dict) -> str:
    if now["level"] == "L1":
        whose = "L1's"
    else:
        whose = "L1's and L2's" if now["vpid12"] == 0 else "L2's"
    return f"VPID {now['vpid']} ({whose})"


def _by_ept(raw: dict) -> bool:
    """Whether the hypervisor's EPT changed: INVEPT's matter, whatever the VPID."""
    if raw["finding"] == "ept_refusal":
        return raw["cause"] == _EPT_LOST_RIGHT
    if raw["finding"] == "apic_access":
        return raw["linear"] == "0x0"
    return raw["finding"] in _GUEST_PHYSICAL or raw["finding"] == "other_host_page"


def _page(guest: str, host: str) -> str:
    return f"page {host}" if guest == host else f"guest-physical page {guest} at host page {host}"


def _old_target(raw: dict) -> str:
    old = raw["old"]
    if raw["finding"] in _TABLES:
        return f"next table {old['host']}"
    return _page(old["guest"], old["host"])


def _new_target(raw: dict) -> str:
    finding = raw["finding"]
    if finding in _NOW:
        return _NOW[finding]
    if finding == "other_table":
        return f"next table {raw['guest']}"
    if finding == "ept_table":
        return f"next table {raw['host']}" if raw["host"] != "0x0" else "no next table"
    return _page(raw["guest"], raw["host"])


def _old_level(raw: dict) -> str:
    """A virtual CPU has one VMCS of the hypervisor's for L1, and one for L2."""
    now, old = raw["now"], raw["old"]
    if old.get("level"):
        return old["level"]
    if old["vmcs"] == now["vmcs"]:
        return now["level"]
    if old["vpid12"] or _hex(old["ep4ta12"] or "0x0"):
        return "L2"
    if old["vcpu"] == now["vcpu"]:
        return "L1" if now["level"] == "L2" else "L2"
    return "a guest"


def _context(place: dict, level: str) -> str:
    parts = [f"{level} of vCPU {place['vcpu']}"]
    if place["vpid12"] is None:
        parts.append("vpid12 and eptp12 not known")
    elif level != "L1":
        parts.append(f"vpid12 {place['vpid12']}" if place["vpid12"] else "no vpid12")
        parts.append(f"eptp12 {place['ep4ta12']}" if _hex(place["ep4ta12"]) else "no eptp12")
    parts.append(f"CR3 {place['cr3']}")
    return ", ".join(parts)


def _missing(raw: dict) -> str:
    now = raw["now"]
    invept = f"INVEPT of EP4TA {now['ep4ta']}"
    invvpid = f"INVVPID of VPID {now['vpid']}"
    if _by_ept(raw) or not now["vpid"]:
        wanted = invept
    elif _hex(now["ep4ta"]):
        wanted = f"{invvpid}, or {invept},"
    else:
        wanted = invvpid
    return f"{wanted} on CPU {now['cpu']}, between the two"


def _change(raw: dict) -> str:
    """From what to what, where the cause is a change of context; or by what operation."""
    if raw["by"]:
        return f": {raw['by']}"
    if raw["cause"] not in _CHANGED:
        return ""
    title, key = _CHANGED[raw["cause"]]
    return f": {title}{raw['old'][key]}, then {title}{raw['now'][key]}"


def _operations(head: str, operations: list[dict], names: CodeNames) -> list[str]:
    """What was done or asked for in between, and by whom."""
    if not operations:
        return []
    return [head, *(f"    {_operation(each, names)}" for each in operations)]


def _operation(operation: dict, names: CodeNames) -> str:
    a, b = _hex(operation["a"]), _hex(operation["b"])
    operands = _OPERANDS.get(operation["action"], "")
    what = f"{operation['operation']}{operands.format(a=a, b=b, ep4ta=a & _FRAME)}"
    rip, level = _hex(operation["rip"]), operation["in"]
    if not rip:
        return what
    if level == "root":
        return f"{what}, by {names.hypervisor(rip)}"
    return f"{what}, by {names.guest(rip)} in {level}"
