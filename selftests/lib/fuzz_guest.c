// SPDX-License-Identifier: GPL-2.0
/*
 * The guests of nested_fuzz: they carry out one order after another.
 */
#include "fuzz.h"
#include "apic_access.h"
#include "flush_call.h"
#include "invalidate.h"
#include "registers.h"

#define BAD_CR3		BIT_ULL(62)
#define BAD_POINTER	0x123
#define SPARSE_BANKS	1ul

struct fuzz fuzz;

/* Of each vCPU: the L2 whose VMCS is current. */
static struct l2_context *last[FUZZ_VCPUS];
static bool prepared[FUZZ_VCPUS][FUZZ_L2S];

static void access_page(int vcpu, u64 page)
{
	u64 before = READ_ONCE(fuzz.nr_accesses[vcpu]);

	l2_read_apic_page(backing_gva(page));
	__GUEST_ASSERT(READ_ONCE(fuzz.nr_accesses[vcpu]) == before + 1,
		       "page %lu is the APIC-access page, and was read without a VM exit", page);
}

static void read_pages(int vcpu, const struct fuzz_order *order)
{
	u64 page, value;

	for (page = 0; page <= FUZZ_PAGES; page++) {
		if (order->accesses & BIT_ULL(page))
			access_page(vcpu, page);
		if (!(order->pages & BIT_ULL(page)))
			continue;
		value = READ_ONCE(*backing_gva(page));
		__GUEST_ASSERT(value == order->expected[page],
			       "page %lu holds %lx, not %lx", page, value, order->expected[page]);
	}
}

static void flush(const struct fuzz_order *order)
{
	u64 address = (u64)backing_gva(order->page);

	switch ((enum fuzz_flush)order->kind) {
	case FUZZ_INVLPG:
		invlpg(address);
		break;
	case FUZZ_CR3:
		set_cr3(get_cr3());
		break;
	case FUZZ_PGE:
		set_pge(true);
		set_pge(false);
		break;
	case FUZZ_PCIDE:
		set_pcide(true);
		set_pcide(false);
		break;
	case FUZZ_INVPCID_ADDRESS:
		guest_invpcid(INVPCID_ADDRESS, 0, address);
		break;
	default:
		guest_invpcid(INVPCID_SINGLE + order->page, 0, 0);
	}
}

static int list_pages(u64 *gvas, u64 pages)
{
	int page, nr = 0;

	for (page = 0; page < FUZZ_CHANGED; page++)
		if (pages & BIT_ULL(page))
			gvas[nr++] = (u64)backing_gva(page);
	return nr;
}

static void call_ex(const struct hv_input *input, const struct fuzz_order *order)
{
	struct hv_flush_ex *call = (struct hv_flush_ex *)input->gva;
	u16 code = HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX;
	int nr = 0;

	call->address_space = 0;
	call->flags = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	call->format = HV_SET_SPARSE_4K;
	call->valid_banks = SPARSE_BANKS;
	call->contents[0] = order->processors;
	if (order->kind == FUZZ_LIST_EX) {
		code = HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX;
		nr = list_pages(call->contents + 1, order->pages);
	}
	hyperv_hypercall(flush_control(code, nr) | 1ull << HV_HYPERCALL_VARHEAD_OFFSET,
			 input->gpa, 0);
}

static void call(int vcpu, const struct fuzz_order *order)
{
	const struct hv_input *input = &fuzz.inputs[vcpu];
	u64 gvas[FUZZ_CHANGED];

	switch ((enum fuzz_call)order->kind) {
	case FUZZ_SPACE:
		guest_hv_flush_space(input, order->processors);
		break;
	case FUZZ_SPACE_FAST:
		guest_hv_flush_space_fast(order->processors);
		break;
	case FUZZ_LIST:
		guest_hv_flush_list(input, order->processors, gvas,
				    list_pages(gvas, order->pages));
		break;
	default:
		call_ex(input, order);
	}
}

/* No guest relies on the flushes that some of these are. */
static void change_role(u64 kind)
{
	switch (kind) {
	case 0:
		set_smep(true);
		set_smep(false);
		break;
	case 1:
		set_wp(false);
		set_wp(true);
		break;
	default:
		set_nxe(false);
		set_nxe(true);
	}
}

/* What both levels do. */
static void carry_out(int vcpu, const struct fuzz_order *order)
{
	switch (order->what) {
	case FUZZ_READ:
		read_pages(vcpu, order);
		break;
	case FUZZ_BACK:
		back_page(fuzz.tables[order->tables], order->page, order->by);
		break;
	case FUZZ_BACK_EPT:
		l1_back_ept(fuzz.epts[order->ept - 1], order->by);
		break;
	case FUZZ_FLUSH:
		flush(order);
		break;
	case FUZZ_CALL:
		call(vcpu, order);
		break;
	case FUZZ_ROLE:
		change_role(order->kind);
		break;
	default:
		GUEST_FAIL("order %u", order->what);
	}
}

static __always_inline void l2_loop(int vcpu)
{
	for (;;) {
		GUEST_SYNC(FUZZ_IN_L2);
		if (READ_ONCE(fuzz.orders[vcpu].what) == FUZZ_LEAVE)
			vmcall();
		else
			carry_out(vcpu, &fuzz.orders[vcpu]);
	}
}

static void l2_code_of_vcpu0(void)
{
	l2_loop(0);
}

static void l2_code_of_vcpu1(void)
{
	l2_loop(1);
}

/* From enlightened VMCSs to the ordinary ones, and back. */
static void leave(int vcpu)
{
	struct l2_context *old = last[vcpu];

	if (!old)
		return;
	if (old->hv) {
		GUEST_ASSERT(!vmclear(old->hv->enlightened_vmcs_gpa));
		current_vp_assist = old->hv->vp_assist;
		current_vp_assist->enlighten_vmentry = 0;
	} else {
		GUEST_ASSERT(!vmclear(old->vmx->vmcs_gpa));
	}
	old->launched = false;
	last[vcpu] = NULL;
}

static void load(int vcpu, int number)
{
	struct l2_context *l2 = fuzz.l2s[vcpu][number];
	bool launched = l2->launched;

	if (last[vcpu] && !last[vcpu]->hv != !l2->hv)
		leave(vcpu);
	/* Set up once. */
	l2->launched = prepared[vcpu][number];
	l1_load(l2, vcpu ? l2_code_of_vcpu1 : l2_code_of_vcpu0);
	l2->launched = launched;
	prepared[vcpu][number] = true;
	last[vcpu] = l2;
}

static void set_ept(u64 ept)
{
	u64 controls = vmreadz(SECONDARY_VM_EXEC_CONTROL);

	if (ept) {
		controls |= SECONDARY_EXEC_ENABLE_EPT;
		GUEST_ASSERT(!vmwrite(EPT_POINTER, fuzz.epts[ept - 1]->eptp));
	} else {
		controls &= ~(u64)SECONDARY_EXEC_ENABLE_EPT;
	}
	GUEST_ASSERT(!vmwrite(SECONDARY_VM_EXEC_CONTROL, controls));
}

/* KVM must read all of it again. */
static void make_dirty(const struct l2_context *l2)
{
	if (l2->hv)
		current_evmcs->hv_clean_fields = 0;
}

static void fail_early(struct l2_context *l2, u64 field)
{
	u64 good = vmreadz(field);

	vmwrite(field, 0);
	make_dirty(l2);
	l1_enter_in_vain(l2);
	vmwrite(field, good);
}

static void fail_late(struct l2_context *l2, u64 field, u64 value)
{
	u64 good = vmreadz(field), reason;
	bool launched = l2->launched;

	vmwrite(field, value);
	make_dirty(l2);
	reason = l1_enter(l2);
	__GUEST_ASSERT(reason & EXIT_REASON_FAILED_VMENTRY, "exit for %lx", reason);
	l2->launched = launched;
	vmwrite(field, good);
}

static void fail(struct l2_context *l2, enum fuzz_failure failure)
{
	/* An enlightened VMCS has no list of MSRs. */
	if (l2->hv && failure == FUZZ_BAD_MSR_LIST)
		failure = FUZZ_BAD_CR3;
	switch (failure) {
	case FUZZ_BAD_CONTROLS:
		fail_early(l2, PIN_BASED_VM_EXEC_CONTROL);
		break;
	case FUZZ_BAD_HOST_STATE:
		fail_early(l2, HOST_CS_SELECTOR);
		break;
	case FUZZ_BAD_LINK:
		fail_late(l2, VMCS_LINK_POINTER, BAD_POINTER);
		break;
	case FUZZ_BAD_CR3:
		fail_late(l2, GUEST_CR3, BAD_CR3);
		break;
	case FUZZ_BAD_MSR_LIST:
		/* FS's base may not be in the list. */
		fuzz.msr_list->index = MSR_FS_BASE;
		vmwrite(VM_ENTRY_MSR_LOAD_ADDR, fuzz.msr_list_gpa);
		fail_late(l2, VM_ENTRY_MSR_LOAD_COUNT, 1);
		break;
	default:
		break;
	}
}

static void run_to_vmcall(int vcpu, struct l2_context *l2)
{
	u64 reason;

	while ((reason = l1_enter(l2)) == EXIT_REASON_APIC_ACCESS) {
		fuzz.nr_accesses[vcpu]++;
		l1_skip_apic_read();
	}
	l1_skip_vmcall(l2, reason);
}

static void run(int vcpu, const struct fuzz_order *order)
{
	struct l2_context *l2 = fuzz.l2s[vcpu][order->l2], *tables = fuzz.tables[order->tables];

	load(vcpu, order->l2);
	GUEST_ASSERT(!vmwrite(GUEST_CR3, tables->cr3));
	l1_set_vpid(l2, order->vpid);
	set_ept(order->ept);
	if (!fuzz.has_evmcs)
		l1_set_apic_page(order->apic ? tables->page_gpa[order->apic] : 0);
	if (l2->hv)
		l1_allow_direct_flush(l2, order->vm_id, order->vp_id);
	fail(l2, order->failure);
	if (order->fail_only)
		return;
	make_dirty(l2);
	run_to_vmcall(vcpu, l2);
}

/* While enlightened VMCSs are in use, KVM takes each VMCLEAR for one of those. */
static void clear(int vcpu, int number)
{
	struct l2_context *l2 = fuzz.l2s[vcpu][number], *current = last[vcpu];

	if (!prepared[vcpu][number])
		return;
	if (current && (current == l2 || (current->hv && !l2->hv)))
		leave(vcpu);
	if (current != l2 && !l2->hv)
		GUEST_ASSERT(!vmclear(l2->vmx->vmcs_gpa));
	l2->launched = false;
}

/* KVM forgets what was not cleared. */
static void vmx_off_and_on(int vcpu)
{
	int i;

	for (i = 0; i < FUZZ_L2S; i++)
		if (fuzz.l2s[vcpu][i])
			clear(vcpu, i);
	vmxoff();
	GUEST_ASSERT(!vmxon(fuzz.l2s[vcpu][0]->vmx->vmxon_gpa));
}

static void l1_carry_out(int vcpu, const struct fuzz_order *order)
{
	switch (order->what) {
	case FUZZ_RUN:
		run(vcpu, order);
		break;
	case FUZZ_INVVPID:
		l1_invvpid(order->kind, order->vpid, (u64)backing_gva(order->page));
		break;
	case FUZZ_INVEPT:
		l1_invept(order->kind, fuzz.epts[order->ept - 1]->eptp);
		break;
	case FUZZ_CLEAR:
		clear(vcpu, order->l2);
		break;
	case FUZZ_OFF:
		vmx_off_and_on(vcpu);
		break;
	default:
		carry_out(vcpu, order);
	}
}

void fuzz_l1_code(u64 vcpu, u64 hypercall_gpa)
{
	struct l2_context *enlightened = fuzz.l2s[vcpu][FUZZ_PLAIN];

	set_cr3(fuzz.tables[FUZZ_L1_TABLES]->cr3);
	if (enlightened) {
		l1_hyperv_on(enlightened, hypercall_gpa);
		/* The oracle learns by it which processor this is. */
		rdmsr(HV_X64_MSR_VP_INDEX);
		current_vp_assist->enlighten_vmentry = 0;
	}
	l1_vmxon(fuzz.l2s[vcpu][0]);
	for (;;) {
		GUEST_SYNC(FUZZ_IN_L1);
		l1_carry_out(vcpu, &fuzz.orders[vcpu]);
	}
}
