/* SPDX-License-Identifier: GPL-2.0 */
/* What reports name: a word for programs, which stays, and a text for people. */
#ifndef TLBSAN_WORDS_H
#define TLBSAN_WORDS_H

namespace tlbsan {

/* Why there had to be a flush before the entry could be used again. */
enum class Cause {
	guest,			/* there had not: the guest changed its own tables */
	other_vcpu,		/* the entry was made for another virtual CPU */
	state_set,		/* ... before this L2's state was set */
	other_vpid12,		/* ... under another vpid12 */
	other_eptp12,		/* ... under another eptp12 */
	invalidated,		/* the guest invalidated it */
	apic_page,		/* the hypervisor turned on the APIC-access page */
	shadow_table,		/* of the hypervisor's shadow tables: a table moved or went */
	shadow_page,		/* ... a page moved */
	shadow_dirty,		/* ... a dirty flag was cleared */
	shadow_right,		/* ... a right was taken away */
	ept_page,		/* of the hypervisor's EPT: a page or table moved or went */
	ept_dirty,		/* ... a dirty flag was cleared */
	ept_right,		/* ... a right was taken away */
};

/* What invalidates. */
enum class Action {
	other,
	invvpid_address,
	invvpid_single,
	invvpid_all,
	invvpid_but_globals,
	invept_single,
	invept_all,
	entry_without_vpid,
	exit_without_vpid,
	/* a guest's, by hardware or by its hypervisor */
	invlpg,
	invpcid,
	mov_cr3,
	mov_cr4,
	mov_cr4_pcid,
	mov_cr0_or_cr4,
	task_switch,
	cr0_pg,
	cr3_set,
	/* an L1's, and what it asks its hypervisor for */
	l1_invvpid,
	l1_invept,
	l1_entry_without_vpid,
	l1_exit_without_vpid,
	l1_vmfunc_without_vpid,
	smi,
	rsm,
	hypercall,
	pv_flush,
};

struct Words {
	const char *word, *text;
};

Words words_of(Cause cause);
Words words_of(Action action);

} /* namespace tlbsan */

#endif
