/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared memory that the restore takes as it is: no byte of it is copied.
 *
 * CRIU restores shared memory (memfd_create, MAP_SHARED|MAP_ANONYMOUS) as a new memfd, and copies each
 * page into it out of the images, while the program stands. At the destination the pages are in a memfd
 * already, in the mirror. So the images are made to say that the program's descriptors and mappings are
 * of a regular file, whose name is that of a descriptor of the namespace's init: /proc/1/fd/N. To open
 * that name opens the memfd behind the descriptor, which is what CRIU itself does with its own memfd
 * when it opens it for a second process. The mirror becomes the program's memory. So does that of a file
 * of /dev/shm, which has its own name only when the program is started.
 *
 * Segments of System V memory cannot be adopted: criu/sysv_shm.h.
 */
#ifndef MIGRATE_CRIU_ADOPT_H
#define MIGRATE_CRIU_ADOPT_H

#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define ADOPT_NAME_BYTES	64

/**
 * struct criu_memfd - a memfd of the images
 * @shmid: by which CRIU names it: the number of the inode at the source
 * @inode_id: by which records of files name it
 * @path: what is opened in its place; empty: CRIU makes it
 */
struct criu_memfd {
	uint32_t shmid, uid, gid, mode, seals;
	uint64_t bytes, inode_id;
	char path[ADOPT_NAME_BYTES];
};

/** criu_memfds_read() - all memfds of the images; free() @list */
int criu_memfds_read(int images_dir_fd, struct criu_memfd **list, size_t *nr, struct error *err);

/** struct criu_named - a file @name of the images; @path: what is opened in its place */
struct criu_named {
	const char *name;
	char path[ADOPT_NAME_BYTES];
};

/**
 * struct criu_adopt - what criu_adopt() works on
 * @memfds: those that have a path
 * @files: files with a name
 * @pids: of the tasks, as in the images
 * @nr_adopted: of @memfds, for the caller
 */
struct criu_adopt {
	struct criu_memfd *memfds;
	struct criu_named *files;
	const pid_t *pids;
	size_t nr_memfds, nr_files, nr_pids, nr_adopted;
};

/** criu_adopt() - have the restore open each path */
int criu_adopt(int images_dir_fd, const struct criu_adopt *adopt, struct error *err);

#endif
