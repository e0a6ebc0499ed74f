/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks of Setup: the destination refuses a program when this machine lacks what the restore
 * needs. Each refusal has the numbers, and says what the user can do.
 */
#ifndef MIGRATE_DEST_PRECHECK_H
#define MIGRATE_DEST_PRECHECK_H

#include "criu/criu.h"
#include "dest/mirror.h"
#include "dest/precheck_list.h"
#include "wire/control.h"

/**
 * precheck_setup() - compare the source's Setup with this machine
 * @criu: version of this machine's CRIU
 * @base: directory for images
 */
void precheck_setup(const Migrate__Setup *setup, const struct criu_version *criu,
		    const char *base, struct refusals *refusals);

/** precheck_needs() - of it, files, huge pages, servers and addresses */
void precheck_needs(const Migrate__Setup *setup, struct refusals *refusals);

/** precheck_options() - the options for CRIU that Setup asks for; @here: of --criu-config */
void precheck_options(const Migrate__Setup *setup, const struct criu_config *here,
		      struct criu_config *granted, struct refusals *refusals);

/** precheck_image_bytes() - that CRIU's images have of huge pages, deleted files and tmpfs; from USER_END on it cannot be */
uint64_t precheck_image_bytes(const Migrate__Setup *setup);

/** precheck_memory() - -1 with @err when less than @bytes and a reserve are available */
int precheck_memory(uint64_t bytes, struct error *err);

/** precheck_object() - -1 with CODE_PEER when @object can be no address space */
int precheck_object(const Migrate__Object *object, struct error *err);

/**
 * precheck_objects() - the objects that Setup announces, the root's address space first
 * Return: 0, or -1 with CODE_PEER
 */
int precheck_objects(const Migrate__Setup *setup, struct error *err);

/**
 * precheck_vmas() - check a list of mappings that came over the wire
 * @ranges: filled with the mappings for which pages may come; the caller frees the list
 */
int precheck_vmas(Migrate__Vma **vmas, size_t nr, struct mirror_range **ranges,
		  size_t *nr_ranges, struct error *err);

#endif
