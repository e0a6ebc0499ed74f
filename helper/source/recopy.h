/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of the images that are not as the program has them. */
#ifndef MIGRATE_SOURCE_RECOPY_H
#define MIGRATE_SOURCE_RECOPY_H

#include "criu/omit.h"
#include "source/process.h"

/**
 * recopy_code() - copy the code in a pages image once more from the process, which stands
 * @dir_fd: of the images
 * @carried: the pages that travel in the image; @omit: where they lie in it
 *
 * CRIU makes a program call the kernel by code that it writes, for a moment, over the program's own. Pages that it
 * sends over a connection go by reference: a reader of the connection finds CRIU's code in them meanwhile.
 */
int recopy_code(int dir_fd, struct source_process *process, const struct page_set *carried,
		const struct omit *omit, struct error *err);

#endif
