// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "source/terminals.h"

void terminals_free(struct terminals *terminals)
{
	free(terminals->items);
	memset(terminals, 0, sizeof(*terminals));
}
