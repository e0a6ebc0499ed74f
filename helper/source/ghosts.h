/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Deleted files that the program has open or mapped, and that are no shared memory of the kernel's own. CRIU
 * calls them ghosts: its images have their bytes, which it copies while the program stands. How many there are
 * is said, and refused where it is too much, before anything is sent.
 */
#ifndef MIGRATE_SOURCE_GHOSTS_H
#define MIGRATE_SOURCE_GHOSTS_H

#include <limits.h>
#include <sys/stat.h>
#include "criu/config.h"
#include "source/tree.h"

/** ghost_bytes() - of a deleted file, as CRIU counts for its limit; @sparse: see struct ghosts */
static inline uint64_t ghost_bytes(const struct stat *st, bool sparse)
{
	return sparse ? st->st_blocks * 512UL : (uint64_t)st->st_size;
}

/* what carries a larger one */
extern const char ghost_hint[];

/**
 * struct ghosts - zeroed is empty
 * @shm_dev: of the kernel's internal tmpfs, whose files are none
 * @config: options that the user hands on to CRIU; or NULL
 * @sparse: this CRIU counts the bytes of a file, and not those of its holes
 * @list: inodes, each once
 * @bytes: of all of them
 * @largest: bytes, as CRIU counts, of the one that is called @name; @pid has it
 */
struct ghosts {
	dev_t shm_dev;
	const struct criu_config *config;
	bool sparse;
	struct ghost {
		dev_t dev;
		ino_t ino;
	} *list;
	size_t nr;
	uint64_t bytes, largest;
	pid_t pid;
	char name[PATH_MAX];
};

/** ghosts_find() - look at all processes; -1 with @err */
int ghosts_find(struct ghosts *ghosts, const struct tree *tree, struct error *err);
/** ghosts_check() - -1 with CODE_REFUSED when one is too large, or @images_fd's file system too small for all */
int ghosts_check(const struct ghosts *ghosts, int images_fd, struct error *err);
void ghosts_free(struct ghosts *ghosts);

#endif
