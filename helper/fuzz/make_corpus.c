// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the corpus: make_corpus DIR. An input is named after what it shows; the targets say
 * how an input looks. Found inputs that are not made here are kept beside them.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "criu/image.h"
#include "criu/pagemap.h"
#include "kernel/page_set.h"
#include "wire/conn.h"
#include "wire/control.h"
#include "wire/stream.h"

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)
#define MM		7
#define PID		77

static const char *corpus;

/** struct bytes - an input in the making */
struct bytes {
	uint8_t data[4096];
	size_t size;
};

static void put(struct bytes *to, const void *data, size_t size)
{
	if (size > sizeof(to->data) - to->size)
		abort();
	memcpy(to->data + to->size, data, size);
	to->size += size;
}

static void put_byte(struct bytes *to, uint8_t byte)
{
	put(to, &byte, 1);
}

static void put_chunk(struct bytes *to, const void *data, size_t size)
{
	uint16_t length = htole16(size);

	put(to, &length, sizeof(length));
	put(to, data, size);
}

static void save(const char *target, const char *name, const struct bytes *bytes)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", corpus, target);
	if (mkdir(path, 0755) && errno != EEXIST)
		perror(path);
	snprintf(path, sizeof(path), "%s/%s/%s", corpus, target, name);
	file = fopen(path, "w");
	if (!file || fwrite(bytes->data, 1, bytes->size, file) != bytes->size || fclose(file)) {
		perror(path);
		exit(1);
	}
}

static void maps(void)
{
	static const char list[] =
		"00400000-00401000 r-xp 00000000 fd:00 1234 /usr/bin/prog\n"
		"00601000-00700000 rw-p 00000000 00:00 0    [heap]\n"
		"7f0000000000-7f0000064000 rw-s 00000000 00:01 99 /memfd:x (deleted)\n"
		"7ffd0000-7ffe0000 rw-p 00000000 00:00 0 [stack]\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";
	static const char smaps[] =
		"00601000-00700000 rw-p 00000000 00:00 0    [heap]\n"
		"Size: 1020 kB\nVmFlags: rd wr mr mw me ac sd \n"
		"7f0000000000-7f0000200000 rw-p 00000000 00:0f 0 /anon_hugepage\n"
		"VmFlags: rd wr ht lo io\n";
	struct bytes bytes = { .size = 0 };

	put(&bytes, list, sizeof(list) - 1);
	save("maps", "maps", &bytes);
	bytes.size = 0;
	put(&bytes, smaps, sizeof(smaps) - 1);
	save("maps", "smaps", &bytes);
	bytes.size = 0;
	put(&bytes, "2000-3000 r--p 0 0:0 0\n1000-2000 r--p 0 0:0 0\n", 46);
	save("maps", "out-of-order", &bytes);
	bytes.size = 0;
	put(&bytes, list, sizeof(list) - 1);
	put(&bytes, "1000-2000 r--p 0 0:0 0\n", 23);
	save("maps", "low-behind-vsyscall", &bytes);
}

/* A caller of fuzz_preamble says part of his preamble. */
static void say(struct bytes *to, uint8_t caller, const void *data, size_t size)
{
	put_byte(to, size + 1);
	put_byte(to, caller);
	put(to, data, size);
}

static void preamble(void)
{
	struct conn_preamble pre = {
		.magic = htole32(CONN_MAGIC), .version = htole16(1), .kind = CONN_CONTROL,
		.id = "0123456789abcde",
	};
	struct bytes bytes = { .size = 0 };

	for (int i = 0; i < 3; i++) {
		pre.kind = CONN_CONTROL + i;
		say(&bytes, i, &pre, sizeof(pre));
	}
	save("preamble", "three-kinds", &bytes);
	bytes.size = 0;
	say(&bytes, 0, &pre, 10);
	say(&bytes, 1, &pre, 31);
	say(&bytes, 0, (char *)&pre + 10, 22);
	say(&bytes, 1, "", 0);
	save("preamble", "in-pieces-and-cut", &bytes);
	bytes.size = 0;
	pre.version = htole16(2);
	say(&bytes, 0, &pre, sizeof(pre));
	say(&bytes, 1, "GET / HTTP/1.1\r\nHost: x\r\n\r\n0123", 31);
	save("preamble", "strangers", &bytes);
}

/* A message as a chunk of fuzz_control. */
static void put_message(struct bytes *to, Migrate__Control__BodyCase body_case, void *body)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	uint8_t packed[2048];

	msg.body_case = body_case;
	msg.hello = body;
	if (migrate__control__get_packed_size(&msg) > sizeof(packed))
		abort();
	put_chunk(to, packed, migrate__control__pack(&msg, packed));
}

static void put_setup(struct bytes *to, char *flag)
{
	Migrate__Vma vma[2] = { MIGRATE__VMA__INIT, MIGRATE__VMA__INIT };
	Migrate__Vma *vmas[] = { &vma[0], &vma[1] };
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *files = &file;
	Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Setup setup = MIGRATE__SETUP__INIT;

	for (int i = 0; i < 2; i++) {
		vma[i].start = AT(200 * i);
		vma[i].end = AT(200 * i + 100);
		vma[i].prot = PROT_READ | PROT_WRITE;
		vma[i].anon = true;
		vma[i].ours = !i;
		vma[i].shared = i;
	}
	file.path = "/bin/true";
	file.bytes = 1;
	criu.major = 3;
	criu.minor = 17;
	setup.pid = PID;
	setup.comm = "prog";
	setup.threads = 1;
	setup.n_vmas = 2;
	setup.vmas = vmas;
	setup.n_files = 1;
	setup.files = &files;
	setup.rss_bytes = 1 << 20;
	setup.criu = &criu;
	setup.kernel = "6.1.0";
	setup.arch = "x86_64";
	setup.n_cpu_flags = 1;
	setup.cpu_flags = &flag;
	setup.mode = "auto";
	put_message(to, MIGRATE__CONTROL__BODY_SETUP, &setup);
}

static void put_image(struct bytes *to, char *name, uint64_t offset, bool last)
{
	Migrate__ImageFile piece = MIGRATE__IMAGE_FILE__INIT;

	piece.name = name;
	piece.offset = offset;
	piece.data.data = (uint8_t *)"0123456789";
	piece.data.len = 10;
	piece.last = last;
	put_message(to, MIGRATE__CONTROL__BODY_IMAGE_FILE, &piece);
}

static void put_maps(struct bytes *to, uint64_t start, uint64_t end)
{
	Migrate__Vma vma = MIGRATE__VMA__INIT, *vmas = &vma;
	Migrate__Maps list = MIGRATE__MAPS__INIT;

	vma.start = start;
	vma.end = end;
	vma.ours = true;
	list.n_vmas = 1;
	list.vmas = &vmas;
	put_message(to, MIGRATE__CONTROL__BODY_MAPS, &list);
}

static void put_digests(struct bytes *to, uint64_t addr, uint32_t nr_pages)
{
	Migrate__DigestRun run = MIGRATE__DIGEST_RUN__INIT, *runs = &run;
	Migrate__Digests digests = MIGRATE__DIGESTS__INIT;

	run.addr = addr;
	run.nr_pages = nr_pages;
	digests.n_runs = 1;
	digests.runs = &runs;
	digests.last = true;
	put_message(to, MIGRATE__CONTROL__BODY_DIGESTS, &digests);
}

static void control_course(struct bytes *to)
{
	Migrate__Hello hello = MIGRATE__HELLO__INIT;
	Migrate__RoundBegin round = MIGRATE__ROUND_BEGIN__INIT;
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;

	hello.version = PROTOCOL_VERSION;
	hello.software = "migrate-helper";
	hello.hostname = "node1";
	round.round = 1;
	round.pages = 100;
	go.files = 1;
	put_byte(to, 0);
	put_message(to, MIGRATE__CONTROL__BODY_HELLO, &hello);
	put_setup(to, "fpu");
	put_maps(to, AT(0), AT(120));
	put_message(to, MIGRATE__CONTROL__BODY_ROUND_BEGIN, &round);
	put_image(to, "core-77.img", 0, false);
	put_image(to, "core-77.img", 10, true);
	put_digests(to, AT(0), 4);
	put_message(to, MIGRATE__CONTROL__BODY_RESTORE_GO, &go);
}

static void control(void)
{
	struct bytes bytes = { .size = 0 };

	control_course(&bytes);
	save("control", "whole-course", &bytes);
	bytes.size = 0;
	put_byte(&bytes, 0);
	put_setup(&bytes, "");
	save("control", "empty-cpu-flag", &bytes);
	bytes.size = 0;
	put_byte(&bytes, 0);
	put_maps(&bytes, AT(0), USER_END);
	put_maps(&bytes, AT(5), AT(5) + 1);
	save("control", "wrong-mapping", &bytes);
	bytes.size = 0;
	put_byte(&bytes, 0);
	put_image(&bytes, "../x", 0, true);
	save("control", "image-with-slash", &bytes);
	bytes.size = 0;
	put_byte(&bytes, 0);
	put_digests(&bytes, USER_END - PAGE_BYTES, ~0U);
	save("control", "digest-too-long", &bytes);
	bytes.size = 0;
	put(&bytes, "\1\377\377\377\377\12\5", 7);
	save("control", "raw-too-long", &bytes);
}

static void put_head(struct bytes *to, uint32_t kind, uint32_t nr_runs, uint32_t nr_pages,
		     uint32_t round)
{
	struct splice_vm_batch head = {
		.magic = htole32(kind), .nr_runs = htole32(nr_runs),
		.nr_pages = htole32(nr_pages), .cookie = htole64(FRAME_COOKIE(round, MM)),
	};

	put(to, &head, sizeof(head));
}

static void put_run(struct bytes *to, uint64_t page, uint32_t nr_pages)
{
	struct splice_vm_run run = { .addr = htole64(AT(page)), .nr_pages = htole32(nr_pages) };

	put(to, &run, sizeof(run));
}

/* A frame of one run; of a PAGES frame each page is one byte. */
static void put_frame(struct bytes *to, uint32_t kind, uint64_t page, uint32_t nr_pages)
{
	put_head(to, kind, !!nr_pages, kind == FRAME_PAGES ? nr_pages : 0, 1);
	if (nr_pages)
		put_run(to, page, nr_pages);
	for (uint32_t i = 0; kind == FRAME_PAGES && i < nr_pages; i++)
		put_byte(to, i + 1);
}

static void frames_course(struct bytes *to, uint8_t flags)
{
	put_byte(to, flags);
	put_frame(to, FRAME_PAGES, 10, 4);
	put_frame(to, FRAME_PAGES, 98, 4);
	put_frame(to, FRAME_DROPPED, 13, 1);
	put_frame(to, FRAME_ZERO, 90, 40);
	put_frame(to, FRAME_ROUND, 0, 0);
	put_frame(to, FRAME_STALE, 10, 1);
	put_frame(to, FRAME_POPULATED, 8, 60);
	put_frame(to, FRAME_FINAL, 0, 0);
	put_frame(to, FRAME_PAGES, 8, 2);
	put_frame(to, FRAME_ZERO, 30, 20);
	put_frame(to, FRAME_PUSHED, 0, 0);
}

static void frames(void)
{
	struct bytes bytes = { .size = 0 };

	frames_course(&bytes, 0);
	save("frames", "whole-course", &bytes);
	bytes.size = 0;
	frames_course(&bytes, 2);
	save("frames", "sealed", &bytes);
	bytes.size = 0;
	frames_course(&bytes, 6);
	save("frames", "sealed-partly", &bytes);
	bytes.size = 0;
	put_byte(&bytes, 1);
	put_frame(&bytes, FRAME_PAGES, 0, 2);
	put_frame(&bytes, FRAME_ZERO, 5, 2);
	put_frame(&bytes, FRAME_FINAL, 0, 0);
	save("frames", "urgent", &bytes);
	bytes.size = 0;
	put_byte(&bytes, 0);
	put_frame(&bytes, FRAME_POPULATED, 0, ~0U);
	save("frames", "populated-huge", &bytes);
	bytes.size = 0;
	put_byte(&bytes, 0);
	put_head(&bytes, FRAME_PAGES, 2, 3, 1);
	put_run(&bytes, 0, 1);
	put_run(&bytes, 200, 2);
	put(&bytes, "123", 3);
	put_head(&bytes, FRAME_PAGES, 1, 7, 2);
	put_run(&bytes, 150, 7);
	save("frames", "runs-then-outside", &bytes);
}

static void requests(void)
{
	struct bytes bytes = { .size = 0 };

	put_frame(&bytes, FRAME_REQUEST, 0, 1);
	put_head(&bytes, FRAME_REQUEST, 2, 0, 0);
	put_run(&bytes, 10, 16);
	put_run(&bytes, 100, ~0U);
	save("requests", "two", &bytes);
	bytes.size = 0;
	put_frame(&bytes, FRAME_PAGES, 0, 1);
	save("requests", "pages", &bytes);
}

static void put_file(struct bytes *to, uint8_t name, struct image_out *image)
{
	put_byte(to, name);
	put_chunk(to, image->data, image->bytes);
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
	uint32_t threads[] = { PID, 79 };

	tree.pid = PID;
	tree.threads = threads;
	tree.n_threads = 2;
	put_record(to, 0, IMAGE_PSTREE, &tree.base);
	put_core(to, 1, 1, 0x2000);
	put_core(to, 2, 0, 0x3000);
}

static void images(void)
{
	struct bytes bytes = { .size = 0 };
	struct image_out map;

	put_tree(&bytes);
	put_mm(&bytes);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map);
	pagemap_put(&map, 0x100 * PAGE_BYTES, 8, PAGEMAP_PARENT);
	pagemap_put(&map, 0x108 * PAGE_BYTES, 1, PAGEMAP_PRESENT);
	pagemap_put(&map, 0x200 * PAGE_BYTES, 8, PAGEMAP_PARENT);
	pagemap_put(&map, 0x300 * PAGE_BYTES, 2, PAGEMAP_LAZY);
	put_file(&bytes, 4, &map);
	save("images", "whole-task", &bytes);
	bytes.size = 0;
	put_tree(&bytes);
	save("images", "without-memory", &bytes);
	bytes.size = 0;
	put_tree(&bytes);
	put_mm(&bytes);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map);
	pagemap_put(&map, 0x200 * PAGE_BYTES, 1 << 27, PAGEMAP_PARENT);
	put_file(&bytes, 4, &map);
	put_byte(&bytes, 5);
	put_chunk(&bytes, "x", 1);
	save("images", "parent-too-long", &bytes);
}

/* A word of fuzz_lazy. */
static void put_word(struct bytes *to, const void *data, uint8_t size, uint8_t nr_fds)
{
	put_byte(to, size | nr_fds << 4);
	put(to, data, size);
}

static void lazy(void)
{
	struct bytes bytes = { .size = 0 };

	put_word(&bytes, "\115\0\0\0", 4, 0);
	put_word(&bytes, "x", 1, 1);
	put_word(&bytes, "FTSR", 4, 0);
	save("lazy", "task-and-finish", &bytes);
	bytes.size = 0;
	put_word(&bytes, "\115\0", 2, 2);
	put_word(&bytes, "\0\0", 2, 0);
	put_word(&bytes, "x", 1, 3);
	put_word(&bytes, "\376\377\377\377", 4, 0);
	save("lazy", "in-pieces-with-many", &bytes);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make_corpus DIR\n");
		return 2;
	}
	corpus = argv[1];
	mkdir(corpus, 0755);
	maps();
	preamble();
	control();
	frames();
	requests();
	images();
	lazy();
	return 0;
}
