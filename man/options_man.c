/* SPDX-License-Identifier: Apache-2.0 */

/* Prints the OPTIONS section of the manual page; run by the build. */
#include "options.h"

int main(void)
{
	options_print_man(stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
