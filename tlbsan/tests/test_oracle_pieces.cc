/* SPDX-License-Identifier: GPL-2.0 */
/* Large pages of a guest that EPT maps in smaller ones: what names one piece names all. */
#include "oracle_machine.h"

using namespace tlbsan;

static const uint64_t other_piece = linear + 0x1000;

/* The page of the Machine, which the guest's tables map by an entry of this size. */
static void walk_piece(Machine &m, unsigned guest_shift, uint64_t guest, uint64_t host)
{
	Walk walk = m.a_walk(guest, host);

	walk.guest_shift = guest_shift;
	m.oracle.walked(walk);
}

TEST(an_invlpg_of_one_piece_takes_all)
{
	for (unsigned shift : { 12, 21 }) {
		Machine m;

		m.enter_l1();
		walk_piece(m, shift, guest_a, host_a);
		m.executes(Scope::address, other_piece);
		walk_piece(m, shift, guest_b, host_b);
		CHECK_EQUAL(m.verdict(), shift == 21 ? "" : "guestowned other_page");
	}
}

TEST(an_invlpg_of_one_piece_that_is_left_to_the_hypervisor_is_its_debt_for_all)
{
	for (unsigned shift : { 12, 21 }) {
		for (bool carried_out : { false, true }) {
			Machine m;
			bool all = shift == 21;

			m.enter_l1();
			walk_piece(m, shift, guest_a, host_a);
			m.oracle.virtual_cpus().asked(0, { Scope::address, 0, other_piece });
			m.exit(EXIT_INVLPG);
			if (carried_out)
				m.invvpid(0, vpid01, other_piece);
			m.enter_l1();
			walk_piece(m, shift, guest_b, host_b);
			CHECK_EQUAL(m.verdict(), !all ? "guestowned other_page" :
						 carried_out ? "" : "stale other_page");
		}
	}
}

TEST(l1_invvpid_of_one_piece_owes_a_flush_of_all)
{
	for (unsigned shift : { 12, 21 }) {
		Machine m;

		m.nest(7, 0xb000);
		walk_piece(m, shift, guest_a, host_a);
		m.in_l1([&] {
			m.l1_invvpid({ .type = 0, .vpid = 7, .linear = other_piece });
		});
		walk_piece(m, shift, guest_b, host_b);
		CHECK_EQUAL(m.verdict(), shift == 21 ? "stale other_page" : "guestowned other_page");
	}
}

TEST(a_flush_of_one_piece_clears_a_deferred_report_of_another)
{
	for (unsigned shift : { 12, 21 }) {
		Machine m;

		m.enter_l1();
		walk_piece(m, shift, guest_a, host_a);
		walk_piece(m, shift, guest_a, host_b);
		m.exit();
		m.invvpid(0, vpid01, other_piece);
		m.enter_l1();
		CHECK_EQUAL(m.verdict(), shift == 21 ? "" : "stale other_host_page");
	}
}

/* Hardware may have the small page's entry still, which is no piece of anything. */
TEST(a_piece_replaces_no_entry_of_a_small_page)
{
	for (bool flush : { false, true }) {
		Machine m;

		m.enter_l1();
		walk_piece(m, 12, guest_a, host_a);
		walk_piece(m, 21, guest_a, host_a);
		m.executes(Scope::address, flush ? linear : other_piece);
		walk_piece(m, 21, guest_b, host_b);
		CHECK_EQUAL(m.verdict(), flush ? "" : "guestowned other_page");
	}
}
