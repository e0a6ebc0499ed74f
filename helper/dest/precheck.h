/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What would make the restore fail in the end is refused at the start, with
 * numbers and with what to do.
 */
#ifndef MIGRATE_DEST_PRECHECK_H
#define MIGRATE_DEST_PRECHECK_H

#include <sys/stat.h>
#include "criu/criu.h"
#include "dest/mirror.h"
#include "wire/control.h"

#define PRECHECK_MAX_FILES	16384	/* most mapped files that Setup may name */

/** struct refusals - sentences for people */
struct refusals {
	char *text[32];
	size_t nr;
};

/**
 * precheck_setup() - compare what the source has with what this machine can
 * @criu: version installed here
 * @base: directory for images
 */
void precheck_setup(const Migrate__Setup *setup, const struct criu_version *criu,
		    const char *base, struct refusals *refusals);
void precheck_free(struct refusals *refusals);

/* What unit tests put something in place of: the look at a file, and how long all of them may take. */
extern int (*precheck_stat)(const char *path, struct stat *st);
extern int precheck_files_ms;

/** precheck_memory() - -1 when less than @bytes and a reserve are available */
int precheck_memory(uint64_t bytes, struct error *err);

/**
 * precheck_objects() - check the objects that Setup announces: today one address space
 * Return: 0, or -1 with CODE_PEER
 */
int precheck_objects(const Migrate__Setup *setup, struct error *err);

/**
 * precheck_vmas() - check a list of mappings that came over the wire
 * @ranges: those that pages may be sent for; to be freed by the caller
 */
int precheck_vmas(Migrate__Vma **vmas, size_t nr, struct mirror_range **ranges,
		  size_t *nr_ranges, struct error *err);

#endif
