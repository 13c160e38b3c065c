// SPDX-License-Identifier: GPL-2.0

//! The configurations that are explored.

use super::{
    Config,
    Context, //
};

/// All of them.
pub const ALL: &[Config] = &[
    Config {
        name: "stock",
        about: "C's rules: 3 vpid12s, an L2 without VPID, 2 CPUs; INVVPID, failed entries, VMXOFF",
        vpids: 1,
        vmxoff: true,
        ..CONTEXTS
    },
    Config {
        name: "pairs",
        about: "3 vpid12s on 2 VPIDs, an L2 without VPID; INVVPID, failed entries",
        slots: 2,
        cpus: 1,
        moves: false,
        own_flushes: false,
        ..CONTEXTS
    },
    Config {
        name: "one-vmcs",
        about: "an L2 whose vpid12 L1 turns off and on, unseen by KVM, 2 VPIDs, 2 CPUs; INVVPID",
        slots: 2,
        cpus: 2,
        own_roots: true,
        contexts: &[Context::plain(1), Context::plain(0)],
        one_vmcs: true,
        moves: true,
        invvpid: true,
        own_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "pairs-cpus",
        quick: 19,
        about: "3 vpid12s on 2 VPIDs, 2 CPUs; INVVPID, guests' own flushes",
        slots: 2,
        cpus: 2,
        own_roots: true,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(3)],
        moves: true,
        invvpid: true,
        own_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "hooks",
        quick: 19,
        about: "2 vpid12s on 2 VPIDs; VMXOFF, the module loaded and unloaded, 2 CPUs",
        slots: 2,
        cpus: 2,
        own_roots: true,
        contexts: &[Context::plain(1), Context::plain(2)],
        moves: true,
        invvpid: true,
        vmxoff: true,
        hooks_change: true,
        ..Config::NONE
    },
    Config {
        name: "hooks-pairs",
        about: "3 vpid12s on 5 VPIDs; guests' own flushes, the module loaded and unloaded",
        slots: 5,
        vpids: 5,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(3)],
        hooks_change: true,
        own_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "recycle",
        quick: 20,
        about: "2 vCPUs hand 3 VPIDs on by VMXOFF and VMXON, on one CPU in turn",
        slots: 2,
        vcpus: 2,
        contexts: &[Context::plain(1), Context::plain(2)],
        vpids: 3,
        moves: true,
        vmxoff: true,
        ..Config::NONE
    },
    Config {
        name: "exits",
        about: "L2s with and without VPID, no flush at exits; PV flushes, the host's changes",
        slots: 2,
        no_exit_flush: true,
        l1_flush_alone: true,
        cpus: 2,
        own_roots: true,
        contexts: &[Context::plain(1), Context::plain(0)],
        moves: true,
        own_flushes: true,
        requested_flushes: true,
        pv_flushes: true,
        remaps: true,
        ..Config::NONE
    },
    Config {
        name: "exits-failed",
        about: "the same on one CPU, with failed entries",
        no_exit_flush: true,
        contexts: &[Context::plain(1), Context::plain(0)],
        failures: true,
        requested_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "exits-no-vpid02",
        about:
            "the same, and no VPID left for L2: L2s with and without VPID share vpid01 and a root",
        no_exit_flush: true,
        vpids: 0,
        cpus: 2,
        contexts: &[
            Context::plain(1),
            Context::plain(0),
            Context::ept(1, 1),
            Context::ept(0, 1),
        ],
        moves: true,
        invvpid: true,
        failures: true,
        requested_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "ept",
        quick: 18,
        about: "C's rules: 2 vpid12s and an L2 without VPID, 2 eptp12s; INVEPT, VMCLEAR, VMFUNC",
        vpids: 1,
        ..EPT
    },
    Config {
        name: "ept-pairs",
        quick: 18,
        about: "the same with 2 VPIDs, and roots that stay",
        slots: 2,
        keep_roots: true,
        own_roots: true,
        ..EPT
    },
    Config {
        name: "own-roots",
        quick: 20,
        about: "2 eptp12s whose roots stay; guests' own flushes, the host's changes",
        own_roots: true,
        keep_roots: true,
        cpus: 2,
        contexts: &[Context::ept(1, 1), Context::ept(1, 2)],
        moves: true,
        own_flushes: true,
        remaps: true,
        ..Config::NONE
    },
    Config {
        name: "vmfunc",
        about: "an L2 without VPID that goes from one EPT to another by VMFUNC, 2 CPUs",
        vpids: 1,
        cpus: 2,
        own_roots: true,
        contexts: &[Context::ept(0, 1), Context::ept(0, 2)],
        moves: true,
        vmfunc: true,
        ..Config::NONE
    },
    Config {
        name: "ept-two",
        quick: 18,
        about: "2 vCPUs on 2 CPUs that share a root; INVEPT",
        vcpus: 2,
        cpus: 2,
        keep_roots: true,
        own_roots: true,
        contexts: &[Context::ept(1, 1)],
        moves: true,
        invept: true,
        ..Config::NONE
    },
    Config {
        name: "no-ept",
        quick: 17,
        about:
            "no EPT, no INVVPID for all VPIDs: 2 vpid12s, an L2 without VPID; VMXOFF, another VM",
        ept: false,
        invvpid_all: false,
        slots: 2,
        no_exit_flush: true,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(0)],
        moves: true,
        invvpid: true,
        vmxoff: true,
        other_vm: true,
        ..Config::NONE
    },
    Config {
        name: "no-ept-host",
        about: "no EPT, no INVVPID for all VPIDs, 2 vpid12s; the host's changes",
        ept: false,
        invvpid_all: false,
        slots: 2,
        contexts: &[Context::plain(1), Context::plain(2)],
        remaps: true,
        requested_flushes: true,
        ..Config::NONE
    },
    Config {
        name: "no-tag",
        about: "KVM without EPT, and no VPID left for L2",
        ept: false,
        slots: 2,
        vpids: 0,
        cpus: 2,
        contexts: &[Context::plain(1), Context::plain(2), Context::plain(0)],
        moves: true,
        invvpid: true,
        failures: true,
        refusals: true,
        requested_flushes: true,
        remaps: true,
        ..Config::NONE
    },
    Config {
        name: "hyperv",
        about: "flush calls of L2s and of L1, queue and request apart; ids change, failed entries",
        skip_empty_queue: true,
        contexts: HYPERV,
        hyperv: true,
        fine: true,
        failures: true,
        vmclear: true,
        requested_flushes: true,
        l1_calls: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "hyperv-refused",
        about: "L1's flush calls while the CPU refuses vmcs02",
        known: Some("T10: a refused entry does not ask for L1's queue, in C and in Rust"),
        contexts: &[Context::plain(1)],
        hyperv: true,
        fine: true,
        refusals: true,
        l1_calls: true,
        ..Config::NONE
    },
    Config {
        name: "rest",
        about: "2 eVMCSs' L2s on 2 VPIDs, one at rest; calls of its VM",
        slots: 2,
        skip_empty_queue: true,
        contexts: &[
            Context::evmcs(1, 1, 1),
            Context::evmcs(2, 2, 2),
            Context::plain(1),
        ],
        hyperv: true,
        fine: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "rest-failed",
        about: "an L2 at rest, calls of its VM, failed entries",
        slots: 2,
        contexts: &[Context::evmcs(1, 1, 1), Context::plain(1)],
        hyperv: true,
        fine: true,
        failures: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "rest-hooks",
        about: "2 L2s of one vpid12, one of them enlightened; calls of its VM, hooks that change",
        slots: 2,
        skip_empty_queue: true,
        contexts: &[Context::evmcs(1, 1, 1), Context::plain(1)],
        hyperv: true,
        fine: true,
        hooks_change: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "restored",
        about: "the same, beginning with a restored L2 whose ids are not read yet",
        slots: 2,
        contexts: HYPERV,
        hyperv: true,
        restored: true,
        fine: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "hyperv-two",
        quick: 34,
        about: "an L2 that moves between 2 vCPUs while L2s of its VM make calls",
        slots: 2,
        skip_empty_queue: true,
        vpids: 4,
        vcpus: 2,
        cpus: 2,
        contexts: &[Context::evmcs(1, 1, 1), Context::evmcs(2, 2, 2)],
        hyperv: true,
        fine: true,
        l2_calls: 1,
        ..Config::NONE
    },
    Config {
        name: "hyperv-no-ept",
        about: "flush calls without EPT",
        ept: false,
        contexts: &[
            Context::evmcs(1, 1, 1),
            Context::evmcs(0, 1, 1),
            Context::plain(1),
        ],
        hyperv: true,
        fine: true,
        requested_flushes: true,
        l1_calls: true,
        l2_calls: 1,
        ..Config::NONE
    },
];

const CONTEXTS: Config = Config {
    cpus: 2,
    contexts: &[
        Context::plain(1),
        Context::plain(2),
        Context::plain(3),
        Context::plain(0),
    ],
    moves: true,
    invvpid: true,
    failures: true,
    refusals: true,
    own_flushes: true,
    requested_flushes: true,
    ..Config::NONE
};

const EPT: Config = Config {
    cpus: 2,
    contexts: &[
        Context::ept(1, 1),
        Context::ept(1, 2),
        Context::ept(2, 1),
        Context::ept(0, 2),
    ],
    moves: true,
    invept: true,
    vmclear: true,
    vmfunc: true,
    ..Config::NONE
};

/// One VM's L2 on an enlightened VMCS, with and without VPID, another VM's on the same VMCS and on
/// another, ordinary VMCSs with and without VPID. All VPIDs are the same.
const HYPERV: &[Context] = &[
    Context::evmcs(1, 1, 1),
    Context::evmcs(0, 1, 1),
    Context::evmcs(1, 1, 2),
    Context::evmcs(1, 2, 3),
    Context::plain(1),
    Context::plain(0),
];
