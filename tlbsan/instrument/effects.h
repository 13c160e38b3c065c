/* SPDX-License-Identifier: GPL-2.0 */
/* From an operation and its operands to what it invalidates. */
#ifndef TLBSAN_EFFECTS_H
#define TLBSAN_EFFECTS_H

#include <optional>

#include "events.h"
#include "invalidations.h"
#include "walk_events.h"

namespace tlbsan {

void apply(Invalidations &invalidations, Time time, const Invvpid &inv);
void apply(Invalidations &invalidations, Time time, const Invept &inv);

/* MOV to CR0 or CR4, by the registers before and after: SDM 4.10.4.1 */
std::optional<GuestOperation> change_of(const GuestRegisters &was, const GuestRegisters &now);

} /* namespace tlbsan */

#endif
