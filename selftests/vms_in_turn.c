// SPDX-License-Identifier: GPL-2.0
/*
 * A program for a Linux that is L1 itself (`make linux-l1`): some VMs of one vCPU each take
 * turns on one CPU.  All of them use the same guest-physical and linear addresses, but each has
 * pages of its own there, and counts in them.  To the KVM below, each of them is an L2 with a
 * VMCS, a VPID and an EPT of its own.
 *
 * The regions, and what happens in them:
 *
 *   NAME.begin	the VMs are created and run for the first rounds
 *   NAME	they take turns, and nothing else changes
 *   NAME.moves	in each round, each VM, or --movers of them, gets another page in the place
 *		of one that it uses
 *   NAME.end	they are destroyed
 */
#include <getopt.h>

#include "kvm_util.h"
#include "memory.h"
#include "processor.h"
#include "ucall_common.h"
#include "witness.h"

#define MAX_VMS		16
#define MAX_PAGES	512
#define WARM_UP		3

static struct {
	u64 vms, pages, rounds, moves, movers;
} options = { .vms = 4, .pages = 64, .rounds = 100, .moves = 10, .movers = MAX_VMS };

static char region[64] = "vms_in_turn";

struct turn_vm {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	gva_t pages;
	/* What each page holds. */
	u64 value;
};

static struct turn_vm vms[MAX_VMS];

static void guest_code(u64 *pages, u64 nr_pages, u64 value)
{
	u64 *page, i;

	for (;; value++) {
		for (i = 0; i < nr_pages; i++) {
			page = pages + i * PAGE_SIZE / sizeof(*page);
			GUEST_ASSERT_EQ(READ_ONCE(*page), value);
			WRITE_ONCE(*page, value + 1);
		}
		GUEST_SYNC(value);
	}
}

static u64 *page_of(struct turn_vm *vm, u64 page)
{
	return addr_gva2hva(vm->vm, vm->pages + page * PAGE_SIZE);
}

static void create(struct turn_vm *vm, u64 number)
{
	u64 i;

	vm->vm = __vm_create_with_one_vcpu(&vm->vcpu, options.pages, guest_code);
	vm->pages = vm_alloc_pages(vm->vm, options.pages);
	vm->value = number << 32;
	for (i = 0; i < options.pages; i++)
		*page_of(vm, i) = vm->value;
	vcpu_args_set(vm->vcpu, 3, vm->pages, options.pages, vm->value);
}

static void take_turn(struct turn_vm *vm)
{
	struct ucall uc;

	vcpu_run(vm->vcpu);
	switch (get_ucall(vm->vcpu, &uc)) {
	case UCALL_SYNC:
		TEST_ASSERT_EQ(uc.args[1], vm->value);
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
		break;
	default:
		TEST_FAIL("Unexpected ucall %lu", (unsigned long)uc.cmd);
	}
	vm->value++;
}

static void rounds(u64 nr, bool move)
{
	u64 round, i;

	for (round = 0; round < nr; round++) {
		for (i = 0; i < options.vms; i++) {
			if (move && i < options.movers)
				memory_move_page(page_of(&vms[i], round % options.pages));
			take_turn(&vms[i]);
		}
	}
}

/* What the guests wrote last is in the pages that the host sees. */
static void check_pages(void)
{
	u64 i, page;

	for (i = 0; i < options.vms; i++)
		for (page = 0; page < options.pages; page++)
			TEST_ASSERT_EQ(*page_of(&vms[i], page), vms[i].value);
}

static void usage(const char *program)
{
	printf("Usage: %s [--vms N] [--pages N] [--rounds N] [--moves N] [--movers N]\n"
	       "          [--region NAME]\n"
	       "moves: of the rounds in which pages move, movers: VMs whose pages do\n", program);
	exit(2);
}

static void parse(int argc, char *argv[])
{
	static const struct option long_options[] = {
		{ "vms", required_argument, NULL, 'v' },
		{ "pages", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "moves", required_argument, NULL, 'm' },
		{ "movers", required_argument, NULL, 'o' },
		{ "region", required_argument, NULL, 'n' },
		{}
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'v':
			options.vms = atoi_positive("vms", optarg);
			break;
		case 'p':
			options.pages = atoi_positive("pages", optarg);
			break;
		case 'r':
			options.rounds = atoi_positive("rounds", optarg);
			break;
		case 'm':
			options.moves = atoi_positive("moves", optarg);
			break;
		case 'o':
			options.movers = atoi_positive("movers", optarg);
			break;
		case 'n':
			snprintf(region, sizeof(region), "%s", optarg);
			break;
		default:
			usage(argv[0]);
		}
	}
	if (options.vms > MAX_VMS || options.pages > MAX_PAGES)
		usage(argv[0]);
}

int main(int argc, char *argv[])
{
	u64 i;

	parse(argc, argv);
	pin_self_to_any_cpu();

	witness_mark_part(region, ".begin");
	for (i = 0; i < options.vms; i++)
		create(&vms[i], i);
	rounds(WARM_UP, false);

	witness_mark(region);
	rounds(options.rounds, false);

	witness_mark_part(region, ".moves");
	rounds(options.moves, true);

	witness_mark_part(region, ".end");
	check_pages();
	for (i = 0; i < options.vms; i++)
		kvm_vm_free(vms[i].vm);
	witness_mark(UNJUDGED);

	printf("# bench %s %lu\n", region, (unsigned long)(options.rounds * options.vms));
	printf("# bench %s.moves %lu\n", region, (unsigned long)(options.moves * options.vms));
	return 0;
}
