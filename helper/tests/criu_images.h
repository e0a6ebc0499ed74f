/* SPDX-License-Identifier: GPL-2.0 */
/* A directory of images as CRIU would have written them, for the tests of helper/criu. */
#ifndef MIGRATE_TESTS_CRIU_IMAGES_H
#define MIGRATE_TESTS_CRIU_IMAGES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "criu/criu.h"
#include "criu/image.h"
#include "criu/pagemap.h"
#include "images.pb-c.h"
#include "tests/test_dir.h"

#define TEST_PID	77

#define FLAGS_ANON	(MAP_PRIVATE | MAP_ANONYMOUS)
#define FLAGS_FILE	MAP_PRIVATE

#define STATUS_REGULAR	1
#define STATUS_VDSO_BIT	(1U << 3)

static inline void one_record(int dir_fd, const char *name, uint32_t magic,
			      const ProtobufCMessage *msg)
{
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, magic);
	image_out_add(&out, msg);
	assert_int_equal(image_out_store(&out, dir_fd, name, &err), 0);
	image_out_free(&out);
}

static inline void pstree_write(int dir_fd, uint32_t *threads, size_t nr)
{
	Img__PstreeEntry tree = IMG__PSTREE_ENTRY__INIT;

	tree.pid = TEST_PID;
	tree.threads = threads;
	tree.n_threads = nr;
	one_record(dir_fd, "pstree.img", IMAGE_PSTREE, &tree.base);
}

/* @rseq, @sp: 0: there is none */
static inline void core_write_stack(int dir_fd, uint32_t tid, uint32_t state, uint64_t rseq, uint64_t sp)
{
	Img__ThreadInfo info = IMG__THREAD_INFO__INIT;
	Img__Registers regs = IMG__REGISTERS__INIT;
	Img__CoreEntry core = IMG__CORE_ENTRY__INIT;
	Img__ThreadCore thread = IMG__THREAD_CORE__INIT;
	Img__RseqEntry area = IMG__RSEQ_ENTRY__INIT;
	Img__TaskCore tc = IMG__TASK_CORE__INIT;
	char name[IMAGE_NAME_MAX];

	core.thread_core = &thread;
	tc.task_state = state;
	if (state)
		core.tc = &tc;
	area.rseq_abi_pointer = rseq;
	area.rseq_abi_size = 32;
	if (rseq)
		thread.rseq_entry = &area;
	info.gpregs = &regs;
	regs.has_sp = true;
	regs.sp = sp;
	if (sp)
		core.thread_info = &info;
	snprintf(name, sizeof(name), "core-%u.img", tid);
	one_record(dir_fd, name, IMAGE_CORE, &core.base);
}

static inline void core_write(int dir_fd, uint32_t tid, uint32_t state, uint64_t rseq)
{
	core_write_stack(dir_fd, tid, state, rseq, 0);
}

/* @name: "inventory.img", or "ids-PID.img" */
static inline void ids_write(int dir_fd, const char *name, uint32_t net, uint32_t user)
{
	Img__TaskKobjIdsEntry ids = IMG__TASK_KOBJ_IDS_ENTRY__INIT;
	Img__InventoryEntry inventory = IMG__INVENTORY_ENTRY__INIT;

	ids.has_net_ns_id = ids.has_user_ns_id = true;
	ids.net_ns_id = net;
	ids.user_ns_id = user;
	inventory.root_ids = &ids;
	if (!strcmp(name, "inventory.img"))
		one_record(dir_fd, name, IMAGE_INVENTORY, &inventory.base);
	else
		one_record(dir_fd, name, IMAGE_IDS, &ids.base);
}

struct test_vma {
	uint64_t start, end;
	uint32_t flags, status;
};

static inline void mm_write(int dir_fd, const struct test_vma *vmas, size_t nr)
{
	Img__MmEntry mm = IMG__MM_ENTRY__INIT;
	Img__VmaEntry *entries = calloc(nr, sizeof(*entries));
	Img__VmaEntry **list = calloc(nr, sizeof(*list));

	for (size_t i = 0; i < nr; i++) {
		img__vma_entry__init(&entries[i]);
		entries[i].start = vmas[i].start;
		entries[i].end = vmas[i].end;
		entries[i].prot = PROT_READ | PROT_WRITE;
		entries[i].flags = vmas[i].flags;
		entries[i].status = vmas[i].status;
		list[i] = &entries[i];
	}
	mm.vmas = list;
	mm.n_vmas = nr;
	one_record(dir_fd, "mm-77.img", IMAGE_MM, &mm.base);
	free(list);
	free(entries);
}

/* All entries of a pagemap; fails the test where the image is damaged. */
static inline size_t pagemap_list(int dir_fd, struct pagemap_entry *entries, size_t room)
{
	struct error err = { 0 };
	ProtobufCMessage *msg;
	struct image image;
	uint64_t from = 0;
	size_t nr = 0;

	assert_int_equal(image_open(&image, dir_fd, "pagemap-77.img", IMAGE_PAGEMAP, &err), 0);
	assert_int_equal(image_next(&image, &img__pagemap_head__descriptor, &msg, &err), 1);
	protobuf_c_message_free_unpacked(msg, NULL);
	while (image_next(&image, &img__pagemap_entry__descriptor, &msg, &err) > 0) {
		assert_true(nr < room);
		assert_int_equal(pagemap_get((Img__PagemapEntry *)msg, from, &entries[nr],
					     &err), 0);
		from = entries[nr].addr + entries[nr].nr_pages * PAGE_BYTES;
		nr++;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	assert_false(error_is_set(&err));
	image_close(&image);
	return nr;
}

#endif
