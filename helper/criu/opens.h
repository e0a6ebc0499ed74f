/* SPDX-License-Identifier: GPL-2.0 */
/* What CRIU will open by a path, as root, and for what. */
#ifndef MIGRATE_CRIU_OPENS_H
#define MIGRATE_CRIU_OPENS_H

#include <fcntl.h>
#include <stdbool.h>
#include "base/error.h"

/* An open file has none of these flags. In an image they would have CRIU make or empty a file. */
#define CRIU_FLAGS_MAKE	(O_CREAT | O_EXCL | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))

/**
 * struct criu_open - a path of files.img
 * @flags: of open(), for descriptors; @writes: as a mapping or a terminal it is opened for writing too
 * @searched: it is a working directory; @root: the directory that is "/" for a process
 * @ghost: CRIU makes a file without a name, in the directory of @path
 */
struct criu_open {
	char *path;
	int flags;
	bool writes, searched, root, ghost;
};

typedef int (*criu_open_fn)(void *ctx, const struct criu_open *open, struct error *err);

/** criu_opens_each() - call @fn with each; -1 when @fn ends it, or the images contradict themselves */
int criu_opens_each(int images_dir_fd, criu_open_fn fn, void *ctx, struct error *err);
/** criu_opens_check() - -1 with CODE_REFUSED when CRIU would make or empty a file: files.img, of any program */
int criu_opens_check(int images_dir_fd, struct error *err);

#endif
