# SPDX-License-Identifier: GPL-2.0
# make -C ../kvm -f .../libkvm.mk OUTPUT=DIR ARCHIVE=FILE FILE: the library of the kernel's KVM
# selftests, as one archive. Their own Makefile builds the objects.

include Makefile

# "q", since two of the objects have the same name in two directories.
$(ARCHIVE): $(LIBKVM_OBJS)
	rm -f $@
	$(AR) qcs $@ $^
