# SPDX-License-Identifier: GPL-2.0
"""The hooks that Rust takes over, the C functions behind them, and the proof that it did."""

from __future__ import annotations

from collections import Counter

from console import Console
from plan import Plan
from results import Result, Status

_IDLE = "Rust's counter did not move while the module was loaded"
GROUP = "takeover"
TITLE = "Rust runs while the module is loaded, C before and after"

# Hook, as the module's counters name it: the C function it stands in for, where
# entering it can be counted.
C_FUNCTION = {
    "flush_tlb_all": "vmx_flush_tlb_all",
    "flush_tlb_current": "vmx_flush_tlb_current",
    "flush_tlb_gva": "vmx_flush_tlb_gva",
    "flush_tlb_guest": "vmx_flush_tlb_guest",
    "flush_tlb_reset": "vmx_flush_tlb_reset",
    "transition_tlb_flush": "nested_vmx_transition_tlb_flush",
    "vmcs02_vpid": "nested_vmx_vmcs02_vpid",
    "vmfunc_tlb_flush": "nested_vmx_vmfunc_tlb_flush",
    "handle_invvpid": "handle_invvpid",
    "handle_invept": "handle_invept",
    "flush_tlb_apic_access": "vmx_flush_tlb_apic_access",
    "set_apic_access_page_addr": "vmx_set_apic_access_page_addr",
    "post_set_cr0": "kvm_post_set_cr0",
    "post_set_cr4": "kvm_post_set_cr4",
    "hv_flush_tlb": "kvm_hv_flush_tlb",
    "hv_vcpu_flush_tlb": "kvm_hv_vcpu_flush_tlb",
    "hv_hypercall_complete": "kvm_hv_hypercall_complete",
    "l2_tlb_flush_wanted": "nested_evmcs_l2_tlb_flush_wanted",
    "exit_after_l2_tlb_flush": "vmx_hv_inject_synthetic_vmexit_post_tlb_flush",
}
# Where only Rust's side tells: C's function is KVM's whole guest flush, to which others come as
# well, or is compiled into that (transition_hv_fifo sees by the emulator that it purges).
RUST_ONLY = ("steal_time_tlb_flush", "hv_purge_flush_tlb", "evmcs_ids_changed")


def judge_takeover(boots: list[tuple[Plan, Console]], complete: bool) -> list[Result]:
    """One result a hook, from the steps marked `takeover`. COMPLETE: all tests of the list
    ran, so a hook that nothing came to is a failure; one test alone need not come to all."""
    results = []
    for hook, function in C_FUNCTION.items():
        rust = _hits(boots, "loaded", f"hook.{hook}.rust")
        absent, loaded, after = (
            _hits(boots, group, function) for group in ("absent", "loaded", "after")
        )
        # Only some of the tests run again after the module was removed.
        again = _hits(boots, "absent", function, _names(boots, "after"))
        if not complete and not absent + loaded + after + rust:
            continue
        reasons = []
        if any(function in console.missing_probes for _, console in boots):
            reasons.append(f"{function} could not be watched: is this kernel patched?")
        if not absent:
            reasons.append(f"{function} was never entered before the module was loaded")
        if not rust:
            reasons.append(_IDLE)
        if loaded:
            reasons.append(f"{function} was entered {loaded} times while the module was loaded")
        if again and not after:
            reasons.append(f"{function} was never entered after the module was removed")
        hits = {"c.absent": absent, "rust": rust, "c.loaded": loaded, "c.after": after}
        results.append(_result(hook, reasons, hits))
    for hook in RUST_ONLY:
        rust = _hits(boots, "loaded", f"hook.{hook}.rust")
        if rust or complete:
            results.append(_result(hook, [] if rust else [_IDLE], {"rust": rust}))
    if not results:
        results.append(Result(GROUP, "any", Status.SKIPPED, ["this test comes to no hook"]))
    return results


def _result(hook: str, reasons: list[str], hits: dict[str, int]) -> Result:
    status = Status.FAILED if reasons else Status.PASSED
    return Result(GROUP, hook, status, reasons, counters=hits)


def _names(boots: list[tuple[Plan, Console]], group: str) -> set[str]:
    """The steps of GROUP."""
    groups = (planned for plan, _ in boots for planned in plan.groups)
    return {step.name for planned in groups if planned.name == group for step in planned.steps}


def _hits(
    boots: list[tuple[Plan, Console]], group: str, name: str, steps: set[str] | None = None
) -> int:
    """How often NAME, a function or a counter, was hit in GROUP, or in STEPS of it alone."""
    total: Counter = Counter()
    for plan, console in boots:
        for planned in plan.groups:
            for step in planned.steps:
                record = console.steps.get(f"{planned.name}/{step.name}")
                if steps is not None and step.name not in steps:
                    continue
                if planned.name == group and step.takeover and record:
                    total.update(record.counters)
                    total.update(record.probes)
    return total[name]
