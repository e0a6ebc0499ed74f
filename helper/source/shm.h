/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The shared memory of the program: memfd_create() and MAP_SHARED|MAP_ANONYMOUS, of hugetlb pages too, segments
 * of System V memory that a process has attached, and files of /dev/shm that it has open or shared; and large files of a
 * tmpfs in its own mount namespace, whether it has them open or not (source/tmpfs.h). An object is one inode, however many processes map it, and
 * its offsets are the addresses in frames.
 *
 * The helper holds each object open for reading. It maps none: a page that is mapped, or on its way by
 * reference, could make F_ADD_SEALS of the program fail.
 */
#ifndef MIGRATE_SOURCE_SHM_H
#define MIGRATE_SOURCE_SHM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <xxhash.h>
#include "criu/criu.h"
#include "pages/page_set.h"
#include "source/options.h"
#include "source/tree.h"
#include "wire/control.h"

#define SHM_NAME_BYTES	250	/* of memfd_create(), with the end */
#define SHM_PIECE_PAGES	64	/* read at once: what the cache of a CPU holds */

/**
 * struct source_shm - one object
 * @dev, @ino: its inode
 * @object: its id in frames
 * @fd: of the object; -1 when it is gone
 * @name: as memfd_create() has it, or the path of a file
 * @named: a file of /dev/shm, which CRIU takes for a file like others
 * @tmpfs: as Object.tmpfs: a file of a tmpfs of the program's own, which is @named too; 0: it is not
 * @sysv: a segment of System V memory, whose id is @ino
 * @st: of the last shms_look()
 * @huge_kib: size of its hugetlb pages; 0: it has none
 * @sealable: made with MFD_ALLOW_SEALING
 * @seen: the last shms_find() saw a process that has it
 * @announced, @gone: as of struct source_process
 * @bytes: whole pages, as of the last shms_look(); @said_bytes: as the destination knows it
 * @data: pages that are no holes, as of the last shms_look()
 * @sent: pages that the destination has. @digests has the digest of what it has
 * @room: pages that @digests has place for
 * @same: of each page below @same_room: it was compared early (shm_compare.h); NULL: none was
 */
struct source_shm {
	dev_t dev;
	uint64_t ino;
	uint32_t object;
	int fd;
	char name[SHM_NAME_BYTES];
	struct stat st;
	uint32_t huge_kib, tmpfs;
	bool named, sysv, sealable, seen, announced, gone;
	uint64_t bytes, said_bytes;
	struct page_set data, sent;
	XXH128_hash_t *digests;
	uint64_t room, same_room;
	bool *same;
};

/**
 * struct source_shms - all objects of one program; zeroed is empty. Of the main thread
 * @opts: of the user; NULL: no file is an object
 * @dev: of the kernel's internal tmpfs
 * @buf: for reading
 * @left_out: it was said that some objects are left to CRIU
 * @dump: for the dump: whose pages it throws away
 * @rounds_pages: pages sent while the program ran; @frozen_pages: while it stood
 * @compared_pages: pages that were read and compared while it stood; @early_pages: of these, while CRIU dumped
 */
struct source_shms {
	const struct migrate_options *opts;
	struct source_shm **list;
	size_t nr;
	dev_t dev;
	bool left_out;
	void *buf;
	struct criu_dump_shm dump;
	uint64_t rounds_pages, frozen_pages, compared_pages, early_pages;
};

int shms_init(struct source_shms *shms, const struct migrate_options *opts, struct error *err);
void shms_destroy(struct source_shms *shms);

/**
 * shms_find() - add the objects that a process of @tree has now; those that none has are gone
 *
 * Where the destination has no place for more objects memory without a name is left to CRIU; a file is refused.
 * A file stays an object as long as it has a name: the program may open it again.
 */
int shms_find(struct source_shms *shms, struct tree *tree, struct error *err);

/** source_shm_end() - the object is gone */
void source_shm_end(struct source_shm *shm);

/** shms_look() - size and holes of each object */
int shms_look(struct source_shms *shms, struct error *err);

/** shms_pages() - how many pages the destination has after shms_send() */
uint64_t shms_pages(const struct source_shms *shms);
/** shms_tmpfs_pages() - of those, pages of files of tmpfs */
uint64_t shms_tmpfs_pages(const struct source_shms *shms);
/** shms_nr() - objects that are not gone */
size_t shms_nr(const struct source_shms *shms);

/** source_shm_say() - what messages say of an object; it has the name of @shm */
void source_shm_say(const struct source_shm *shm, Migrate__Object *object);
/** shms_announce() - tell the destination of objects that began, are gone, or have another size */
int shms_announce(struct source_shms *shms, struct control *ctl, struct error *err);

/** shms_plan_dump() - fill @dump: all objects without a name that the destination has been told of */
int shms_plan_dump(struct source_shms *shms, struct error *err);
/**
 * shms_take_dump() - objects that the dump did not have are gone, or are in the images: the program made
 *	them too late. Files that it made since are objects still
 */
int shms_take_dump(struct source_shms *shms, struct tree *tree, struct error *err);

#endif
