/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files that the program has open or mapped under a name that is gone, and that have another name in
 * the same directory. CRIU leaves them out of its images; the images get the other name.
 */
#ifndef MIGRATE_SOURCE_RENAMED_H
#define MIGRATE_SOURCE_RENAMED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "base/error.h"
#include "criu/repairs.h"

/** struct renamed_file - one of them; @gone: as the kernel tells the name that is gone */
struct renamed_file {
	dev_t dev;
	ino_t ino;
	char *gone;
};

/** struct renamed - all of them. Zeroed is empty; @names: of each file, for CRIU */
struct renamed {
	struct renamed_file *files;
	struct criu_rename *names;
	size_t nr;
};

/** renamed_find() - the other name of a file, or NULL */
const char *renamed_find(const struct renamed *all, const struct stat *st);
/** renamed_find_gone() - the other name of a file that was @gone; NULL: there is none */
const char *renamed_find_gone(const struct renamed *all, const char *gone);
/**
 * renamed_check() - whether the other names still lead to these files
 *
 * Others may have changed the directory since; the restore would open another file than the program's.
 * Return: -1 with @err CODE_REFUSED when one does not
 */
int renamed_check(const struct renamed *all, struct error *err);
void renamed_free(struct renamed *all);

#endif
