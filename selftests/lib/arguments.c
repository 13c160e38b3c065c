// SPDX-License-Identifier: GPL-2.0
/*
 * The arguments of a test that has options without values.
 */
#include <string.h>

#include "arguments.h"
#include "test_util.h"

unsigned int options_given(int argc, char *argv[], const char *const options[], int nr)
{
	unsigned int given = 0;
	int i, option;

	for (i = 1; i < argc; i++) {
		for (option = 0; option < nr && strcmp(argv[i], options[option]); option++)
			;
		if (option == nr)
			TEST_FAIL("There is no %s", argv[i]);
		given |= 1u << option;
	}
	return given;
}

bool option_given(int argc, char *argv[], const char *option)
{
	return options_given(argc, argv, &option, 1);
}
