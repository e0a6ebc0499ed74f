// SPDX-License-Identifier: GPL-2.0
/* The corpus of CRIU's output: images, and words on the socket for userfaultfds. */
#include <sys/mman.h>
#include "criu/image.h"
#include "criu/page_command.h"
#include "criu/pagemap.h"
#include "fuzz/corpus.h"
#include "fuzz/messages.h"
#include "pages/page_set.h"
#include "tests/tmpfs_images.h"

static void put_file(struct bytes *to, uint8_t name, struct image_out *image)
{
	corpus_put_byte(to, name);
	corpus_put_chunk(to, image->data, image->bytes);
	image_out_free(image);
}

static void put_record(struct bytes *to, uint8_t name, uint32_t magic,
		       const ProtobufCMessage *msg)
{
	struct image_out image;

	image_out_init(&image, magic);
	image_out_add(&image, msg);
	put_file(to, name, &image);
}

static void put_core(struct bytes *to, uint8_t name, uint32_t state, uint64_t rseq)
{
	Img__CoreEntry core = IMG__CORE_ENTRY__INIT;
	Img__ThreadCore thread = IMG__THREAD_CORE__INIT;
	Img__RseqEntry area = IMG__RSEQ_ENTRY__INIT;
	Img__TaskCore tc = IMG__TASK_CORE__INIT;

	tc.task_state = state;
	core.tc = state ? &tc : NULL;
	core.thread_core = &thread;
	area.rseq_abi_pointer = rseq;
	area.rseq_abi_size = 32;
	thread.rseq_entry = rseq ? &area : NULL;
	put_record(to, name, IMAGE_CORE, &core.base);
}

static void put_mm(struct bytes *to)
{
	static const uint64_t bounds[][3] = {
		{ 0x100, 0x110, MAP_PRIVATE | MAP_ANONYMOUS }, { 0x200, 0x204, MAP_PRIVATE },
		{ 0x204, 0x208, MAP_PRIVATE | MAP_ANONYMOUS },
		{ 0x300, 0x310, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN },
	};
	Img__MmEntry mm = IMG__MM_ENTRY__INIT;
	Img__VmaEntry entries[4], *list[4];

	for (int i = 0; i < 4; i++) {
		img__vma_entry__init(&entries[i]);
		entries[i].start = bounds[i][0] * PAGE_BYTES;
		entries[i].end = bounds[i][1] * PAGE_BYTES;
		entries[i].prot = PROT_READ | PROT_WRITE;
		entries[i].flags = bounds[i][2];
		entries[i].status = 1;
		list[i] = &entries[i];
	}
	mm.vmas = list;
	mm.n_vmas = 4;
	put_record(to, 3, IMAGE_MM, &mm.base);
}

static void put_tree(struct bytes *to)
{
	Img__PstreeEntry tree = IMG__PSTREE_ENTRY__INIT;
	uint32_t threads[] = { MESSAGES_PID, 79 };

	tree.pid = MESSAGES_PID;
	tree.threads = threads;
	tree.n_threads = 2;
	put_record(to, 0, IMAGE_PSTREE, &tree.base);
	put_core(to, 1, 1, 0x2000);
	put_core(to, 2, 0, 0x3000);
}

void corpus_images(void)
{
	struct bytes bytes = { .size = 0 };
	struct image_out map;

	put_tree(&bytes);
	put_mm(&bytes);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, 1);
	pagemap_put(&map, 0x100 * PAGE_BYTES, 8, PAGEMAP_PARENT);
	pagemap_put(&map, 0x108 * PAGE_BYTES, 1, PAGEMAP_PRESENT);
	pagemap_put(&map, 0x200 * PAGE_BYTES, 8, PAGEMAP_PARENT);
	pagemap_put(&map, 0x300 * PAGE_BYTES, 2, PAGEMAP_LAZY);
	put_file(&bytes, 4, &map);
	corpus_save("images", "whole-task", &bytes);
	bytes.size = 0;
	put_tree(&bytes);
	corpus_save("images", "without-memory", &bytes);
	bytes.size = 0;
	put_tree(&bytes);
	put_mm(&bytes);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, 1);
	pagemap_put(&map, 0x200 * PAGE_BYTES, 1 << 27, PAGEMAP_PARENT);
	put_file(&bytes, 4, &map);
	corpus_put_byte(&bytes, 5);
	corpus_put_chunk(&bytes, "x", 1);
	corpus_save("images", "parent-too-long", &bytes);
}

/* A pagemap of fuzz_chain */
static void put_level(struct bytes *to, uint8_t level, struct image_out *map)
{
	corpus_put_byte(to, level);
	corpus_put_chunk(to, map->data, map->bytes);
	image_out_free(map);
}

void corpus_chain(void)
{
	struct bytes bytes = { .size = 0 };
	struct image_out map;

	corpus_put(&bytes, "\004\010\005\001", 4);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, 1);
	pagemap_put(&map, 0x100 * PAGE_BYTES, 8, PAGEMAP_PRESENT);
	put_level(&bytes, 0, &map);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, 1);
	pagemap_put(&map, 0x100 * PAGE_BYTES, 4, PAGEMAP_PARENT);
	pagemap_put(&map, 0x104 * PAGE_BYTES, 1, PAGEMAP_PRESENT);
	pagemap_put(&map, 0x105 * PAGE_BYTES, 3, PAGEMAP_PARENT);
	put_level(&bytes, 1, &map);
	corpus_save("chain", "two-levels", &bytes);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, 1);
	pagemap_put(&map, 0x100 * PAGE_BYTES, 9, PAGEMAP_PARENT);
	put_level(&bytes, 2, &map);
	corpus_save("chain", "missing-page", &bytes);
}

/* A word of fuzz_lazy. */
static void put_word(struct bytes *to, const void *data, uint8_t size, uint8_t nr_fds)
{
	corpus_put_byte(to, size | nr_fds << 4);
	corpus_put(to, data, size);
}

void corpus_lazy(void)
{
	struct bytes bytes = { .size = 0 };

	put_word(&bytes, "\115\0\0\0", 4, 0);
	put_word(&bytes, "x", 1, 1);
	put_word(&bytes, "FTSR", 4, 0);
	corpus_save("lazy", "task-and-finish", &bytes);
	bytes.size = 0;
	put_word(&bytes, "\115\0", 2, 2);
	put_word(&bytes, "\0\0", 2, 0);
	put_word(&bytes, "x", 1, 3);
	put_word(&bytes, "\376\377\377\377", 4, 0);
	corpus_save("lazy", "in-pieces-with-many", &bytes);
}

/* A command of fuzz_pages: which one of its table, flags, target, addresses left out, pages. */
static void put_pages(struct bytes *to, uint8_t which, uint8_t flags, uint8_t target, uint8_t step,
		      uint8_t pages)
{
	const uint8_t command[] = { which | flags << 4, target, step, pages };

	corpus_put(to, command, sizeof(command));
}

void corpus_pages(void)
{
	/* a page of "migrate migrate ..." */
	static const uint8_t block[] = {
		0x8f, 'm', 'i', 'g', 'r', 'a', 't', 'e', ' ', 0x08, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x50, 'r', 'a', 't', 'e', ' ',
	};
	struct bytes bytes = { .size = 0 };

	/* each form: a task with a parent, shared memory, CLOSE */
	for (uint8_t wide = 0; wide < 2; wide++) {
		bytes.size = 0;
		corpus_put_byte(&bytes, wide);
		put_pages(&bytes, 4, 0, 0, 0, 0);
		put_pages(&bytes, 3, 0, 0, 0, 0);
		put_pages(&bytes, 1, 0, 0, 0, 3);
		put_pages(&bytes, 5, PAGEMAP_PRESENT, 0, 0, 2);
		put_pages(&bytes, 5, PAGEMAP_LAZY, 0, 9, 20);
		put_pages(&bytes, 2, 0, 2, 0, 0);
		put_pages(&bytes, 0, 0, 2, 0, 1);
		put_pages(&bytes, 8, 0, 0, 0, 0);
		corpus_save("pages", wide ? "whole-wide" : "whole-narrow", &bytes);
	}
	bytes.size = 0;
	corpus_put_byte(&bytes, 0);
	put_pages(&bytes, 2, 0, 1, 0, 0);
	put_pages(&bytes, 1, 0, 1, 0, 1);
	corpus_save("pages", "hole-without-parent", &bytes);
	bytes.size = 0;
	corpus_put_byte(&bytes, 1);
	put_pages(&bytes, 9, 0, 0, 0, 0);
	corpus_save("pages", "close-alone", &bytes);
	/* zeros, a page as it is, a block of LZ4 */
	bytes.size = 0;
	corpus_put_byte(&bytes, 1);
	put_pages(&bytes, 3, 0, 0, 0, 0);
	put_pages(&bytes, 7, PAGEMAP_PRESENT, 0, 0, 3);
	corpus_put_byte(&bytes, 0);
	corpus_put_byte(&bytes, 255);
	corpus_put_byte(&bytes, sizeof(block));
	corpus_put(&bytes, block, sizeof(block));
	put_pages(&bytes, 8, 0, 0, 0, 0);
	corpus_save("pages", "compressed", &bytes);
}

/* A frame of fuzz_link: kind and number, and what it takes */
static void put_frame(struct bytes *to, uint8_t kind, uint8_t number, const void *rest, size_t bytes)
{
	corpus_put_byte(to, kind | number << 4);
	corpus_put(to, rest, bytes);
}

/* A dump of a small image and a large one, up to SEAL */
static void put_dump(struct bytes *to)
{
	to->size = 0;
	put_frame(to, 2, 1, "\1a", 2);
	put_frame(to, 3, 0, "\1\1x", 3);
	put_frame(to, 3, 1, "\1\2yy", 4);
	put_frame(to, 4, 0, "\100", 2);
	put_frame(to, 4, 1, "\0\220", 2);
	put_frame(to, 5, 0, "\100", 2);
	put_frame(to, 5, 1, "\0\220", 2);
	put_frame(to, 6, 1, "\2", 2);
}

void corpus_streams(void)
{
	struct bytes bytes;

	put_dump(&bytes);
	corpus_save("link", "in-doubt", &bytes);
	put_frame(&bytes, 7, 1, NULL, 0);
	corpus_save("link", "commit", &bytes);
	put_dump(&bytes);
	put_frame(&bytes, 8, 1, NULL, 0);
	put_frame(&bytes, 2, 1, "\1a", 2);
	corpus_save("link", "abort", &bytes);
	bytes.size = 0;
	put_frame(&bytes, 2, 0, "\1a", 2);
	for (int i = 0; i < 2; i++)
		put_frame(&bytes, 3, i, "\0\1x", 3);
	corpus_save("link", "image-twice", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "\3\4\11\51\32\4full\52\3bad", 13);
	corpus_save("uplink", "sealed-refused-and-late", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "\2\0\71", 3);
	corpus_save("uplink", "unasked", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "\7\0\0\0\n\005a.img\5\0\0\0\n\0\300>\1", 20);
	corpus_save("stream", "image-and-script", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "\2\0\0\0\010\1", 6);
	corpus_save("stream", "reply", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "\12\0\0\0\n\1a\022\2/b\030\1", 14);
	corpus_put(&bytes, "\15\0\0\0\n\6parent\022\0\030\200\010", 17);
	corpus_put(&bytes, "\6\0\0\0\n\0\022\0\030\0", 10);
	corpus_save("remote", "image-list-and-end", &bytes);
}

static void put_answer(struct bytes *to, size_t form, uint64_t addr, uint64_t nr_pages)
{
	const struct page_command head = {
		.id = PAGE_COMMAND_ADD_FLAGS, .flags = PAGEMAP_PRESENT, .nr_pages = nr_pages, .addr = addr * PAGE_BYTES,
		.target = 77,
	};
	uint8_t raw[PAGE_COMMAND_WIDE];

	/* with four pages behind it */
	corpus_put_byte(to, 2);
	corpus_put_chunk(to, raw, page_command_put(raw, form, &head));
}

void corpus_lazy_answer(void)
{
	for (uint8_t wide = 0; wide < 2; wide++) {
		struct bytes bytes = { .size = 0 };

		corpus_put_byte(&bytes, wide);
		/* GETs of four pages and of more than are left out, CLOSE, and what is answered no more */
		corpus_put(&bytes, "\1\0\20\4\0\1\0\60\40\0", 10);
		corpus_save("lazy_answer", wide ? "gets-wide" : "gets-narrow", &bytes);
		corpus_put(&bytes, "\1\2", 2);
		corpus_save("lazy_answer", wide ? "close-wide" : "close-narrow", &bytes);
		bytes.size = 1;
		corpus_put(&bytes, "\1\0\24\1\0\1\4", 7);
		corpus_save("lazy_answer", wide ? "abort-wide" : "abort-narrow", &bytes);
	}
}

void corpus_lazy_link(void)
{
	for (uint8_t wide = 0; wide < 2; wide++) {
		size_t form = wide ? PAGE_COMMAND_WIDE : PAGE_COMMAND_NARROW;
		struct bytes bytes = { .size = 0 };

		corpus_put_byte(&bytes, wide);
		/* GETs of four and of six pages, of which four come at first */
		corpus_put(&bytes, "\7\20\13\40", 4);
		put_answer(&bytes, form, 16, 4);
		put_answer(&bytes, form, 32, 4);
		corpus_save("lazy_link", wide ? "two-wide" : "two-narrow", &bytes);
		put_answer(&bytes, form, 32, 4);
		corpus_save("lazy_link", wide ? "another-page-wide" : "another-page-narrow", &bytes);
	}
}

static void put_pagemap(struct bytes *to, uint32_t lazy, uint32_t other)
{
	struct image_out image;

	image_out_init(&image, IMAGE_PAGEMAP);
	pagemap_put_head(&image, 5);
	pagemap_put(&image, 4 * PAGE_BYTES, 2, PAGEMAP_PRESENT);
	pagemap_put(&image, 6 * PAGE_BYTES, 3, lazy);
	pagemap_put(&image, 20 * PAGE_BYTES, 10, other);
	corpus_put_chunk(to, image.data, image.bytes);
	image_out_free(&image);
}

void corpus_page_chain(void)
{
	struct bytes bytes = { .size = 0 };
	struct image_out image;

	corpus_put_byte(&bytes, 15);
	put_pagemap(&bytes, PAGEMAP_PRESENT | PAGEMAP_LAZY, PAGEMAP_PARENT | PAGEMAP_LAZY);
	put_pagemap(&bytes, PAGEMAP_PARENT, PAGEMAP_PRESENT);
	put_pagemap(&bytes, PAGEMAP_PRESENT, PAGEMAP_LAZY);
	corpus_save("page_chain", "three-levels", &bytes);
	bytes.size = 0;
	corpus_put_byte(&bytes, 3);
	put_pagemap(&bytes, PAGEMAP_LAZY, PAGEMAP_PRESENT | PAGEMAP_LAZY);
	corpus_save("page_chain", "at-the-dump", &bytes);
	bytes.size = 0;
	corpus_put_byte(&bytes, 3);
	put_pagemap(&bytes, PAGEMAP_PARENT | PAGEMAP_LAZY, PAGEMAP_PRESENT);
	image_out_init(&image, IMAGE_PAGEMAP);
	pagemap_put_head(&image, 5);
	corpus_put_chunk(&bytes, image.data, image.bytes);
	image_out_free(&image);
	corpus_save("page_chain", "empty-parent", &bytes);
}

static void save_tmpfs(const char *name, const struct tmpfs_bytes *image)
{
	struct bytes bytes = { .size = 0 };

	corpus_put(&bytes, image->data, image->size);
	corpus_save("tmpfs", name, &bytes);
}

void corpus_tmpfs(void)
{
	static const char xattr[] = "user.a\0\3\0\0\0xyz";
	const struct tmpfs_run last = { 0 };
	struct tmpfs_bytes image;

	tmpfs_begin(&image);
	tmpfs_put_record(&image, (struct tmpfs_record){ .mode = S_IFREG | 0600, .object = 1, .size = 5000, .depth = 1, .names = 2 }, "a");
	tmpfs_put_record(&image, (struct tmpfs_record){ .mode = S_IFDIR | 0700, .depth = 1 }, "dir");
	tmpfs_put_record(&image, (struct tmpfs_record){ .mode = S_IFREG, .depth = 2, .first = 2 }, "b");
	tmpfs_put_record(&image, (struct tmpfs_record){ .mode = S_IFIFO, .depth = 1 }, "fifo");
	save_tmpfs("object", &image);
	tmpfs_begin(&image);
	tmpfs_put_record(&image, (struct tmpfs_record){ .mode = S_IFREG | 0600, .size = 8, .depth = 1, .xattr_bytes = sizeof(xattr) - 1 }, "c");
	tmpfs_put(&image, xattr, sizeof(xattr) - 1);
	tmpfs_put_run(&image, 2, "text");
	tmpfs_put(&image, &last, sizeof(last));
	tmpfs_put_record(&image, (struct tmpfs_record){ .mode = S_IFLNK | 0777, .size = 4, .depth = 1 }, "link");
	tmpfs_put(&image, "/etc", 4);
	save_tmpfs("data", &image);
}
