// SPDX-License-Identifier: GPL-2.0
/*
 * The input of a flush hypercall is 8-byte aligned and within one page: the TLFS has
 * HV_STATUS_INVALID_ALIGNMENT for anything else.  From L2 that matters more: only the
 * address of the first byte is translated by L1's EPT, so that an input which crosses
 * its page continues in a page of L1's.
 */
#include "ept12.h"
#include "flush_call.h"

/* Two for the address that is flushed, two for the input, one after the second of these. */
enum { BACKING, OTHER_BACKING, INPUT, SECOND_INPUT, OTHER_INPUT, NR_PAGES };

enum form { MISALIGNED, LIST_CROSSES, HEADER_CROSSES, OTHER_SECOND_PAGE, NO_SECOND_PAGE, NR_FORMS };
static const char *const form_names[NR_FORMS] = {
	"misaligned", "list-crosses", "header-crosses", "other-second-page", "no-second-page",
};

enum { DONE };

static struct l2_context *context;
static enum form form;

/* One entry: @at is where in the first page the input begins. */
static u16 flush_list(u64 at, bool write_entry)
{
	struct hv_flush *flush = (void *)backing_gva(INPUT) + at;

	flush->address_space = 0;
	flush->flags = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	flush->processor_mask = BIT(FLUSH_CALL_VP);
	if (write_entry)
		flush->gva_list[0] = (u64)backing_gva(BACKING);
	return flush_status(flush_control(HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST, 1),
			    context->page_gpa[INPUT] + at, 0);
}

static u16 call(void)
{
	switch (form) {
	case MISALIGNED:
		return flush_list(4, true);
	case LIST_CROSSES:
	case OTHER_SECOND_PAGE:
	case NO_SECOND_PAGE:
		return flush_list(PAGE_SIZE - sizeof(struct hv_flush), form != NO_SECOND_PAGE);
	default:
		return flush_list(PAGE_SIZE - sizeof(u64), true);
	}
}

static void body(void)
{
	u16 status;

	/* To the last byte of the page is right. */
	check_page(context, BACKING, BACKING);
	back_page(context, BACKING, OTHER_BACKING);
	status = flush_list(PAGE_SIZE - sizeof(struct hv_flush) - sizeof(u64), true);
	__GUEST_ASSERT(status == HV_STATUS_SUCCESS, "an input within its page: status %u", status);
	check_page(context, BACKING, OTHER_BACKING);

	back_page(context, BACKING, BACKING);
	status = call();
	/* If KVM says so: what has it read? */
	if (status == HV_STATUS_SUCCESS)
		check_page(context, BACKING, BACKING);
	__GUEST_ASSERT(status == HV_STATUS_INVALID_ALIGNMENT, "status %u", status);
}

/*
 * L2 has another page than L1 at the second page's address, or none.  L1's own holds
 * an entry as well, for an address that nobody uses.
 */
static void change_ept12(struct kvm_vm *vm, struct l2_context *host)
{
	u64 *entry, *second;

	entry = addr_gva2hva(vm, (gva_t)ept12_entry_map(vm, context, SECOND_INPUT));
	if (form == OTHER_SECOND_PAGE)
		*entry = host->page_gpa[OTHER_INPUT] | (*entry & ~PHYSICAL_PAGE_MASK);
	else
		*entry = 0;
	second = addr_gpa2hva(vm, host->page_gpa[SECOND_INPUT]);
	*second = (u64)backing_gva(NR_PAGES);
}

static void run(enum flush_level level)
{
	struct l2_context *host;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = flush_call_vm(level, kvm_cpu_has_ept() ? L2_EPT_SHARED : L2_EPT_OFF, NR_PAGES, body,
			   &vcpu, &context);
	contexts_finish(vm);
	host = addr_gva2hva(vm, (gva_t)context);
	TEST_ASSERT(host->page_gpa[SECOND_INPUT] == host->page_gpa[INPUT] + PAGE_SIZE,
		    "The input's pages are not neighbours");
	if (form == OTHER_SECOND_PAGE || form == NO_SECOND_PAGE)
		change_ept12(vm, host);
	sync_global_to_guest(vm, context);
	sync_global_to_guest(vm, form);
	TEST_ASSERT_EQ(run_to_sync(vcpu), DONE);
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	enum flush_level level = FLUSH_FROM_L1;

	form = flush_call_options(argc, argv, form_names, NR_FORMS, &level);
	require_direct_flush();
	__TEST_REQUIRE(form < OTHER_SECOND_PAGE || kvm_cpu_has_ept(), "L2 has no pages of its own");
	TEST_ASSERT(form < OTHER_SECOND_PAGE || level == FLUSH_FROM_L2, "L1 has no other pages");
	pin_self_to_any_cpu();

	run(level);
	return 0;
}
