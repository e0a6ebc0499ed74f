// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the corpus: make_corpus DIR. The name of an input says which case it shows; the targets
 * describe their form. The corpus folder also has inputs that the fuzzer has found.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "fuzz/corpus.h"
#include "fuzz/messages.h"
#include "pages/page_set.h"
#include "wire/conn.h"
#include "wire/control.h"

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)

static const char *corpus;

void corpus_put(struct bytes *to, const void *data, size_t size)
{
	if (size > sizeof(to->data) - to->size)
		abort();
	memcpy(to->data + to->size, data, size);
	to->size += size;
}

void corpus_put_byte(struct bytes *to, uint8_t byte)
{
	corpus_put(to, &byte, 1);
}

void corpus_begin(struct bytes *to, uint8_t flags)
{
	to->size = 0;
	corpus_put_byte(to, flags);
}

void corpus_put_chunk(struct bytes *to, const void *data, size_t size)
{
	uint16_t length = htole16(size);

	corpus_put(to, &length, sizeof(length));
	corpus_put(to, data, size);
}

void corpus_save(const char *target, const char *name, const struct bytes *bytes)
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

	corpus_put(&bytes, list, sizeof(list) - 1);
	corpus_save("maps", "maps", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, smaps, sizeof(smaps) - 1);
	corpus_save("maps", "smaps", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "2000-3000 r--p 0 0:0 0\n1000-2000 r--p 0 0:0 0\n", 46);
	corpus_save("maps", "out-of-order", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, list, sizeof(list) - 1);
	corpus_put(&bytes, "1000-2000 r--p 0 0:0 0\n", 23);
	corpus_save("maps", "low-behind-vsyscall", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "1000-ffffffff00000000 r--p 0 0:0 0\n", 35);
	corpus_put(&bytes, "2000-3000 r--p 0 0:0 0\n", 23);
	corpus_save("maps", "beyond-user-space", &bytes);
}

/* A caller of fuzz_preamble says part of his preamble. */
static void say(struct bytes *to, uint8_t caller, const void *data, size_t size)
{
	corpus_put_byte(to, size + 1);
	corpus_put_byte(to, caller);
	corpus_put(to, data, size);
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
	corpus_save("preamble", "three-kinds", &bytes);
	bytes.size = 0;
	say(&bytes, 0, &pre, 10);
	say(&bytes, 1, &pre, 31);
	say(&bytes, 0, (char *)&pre + 10, 22);
	say(&bytes, 1, "", 0);
	corpus_save("preamble", "in-pieces-and-cut", &bytes);
	bytes.size = 0;
	pre.version = htole16(2);
	say(&bytes, 0, &pre, sizeof(pre));
	say(&bytes, 1, "GET / HTTP/1.1\r\nHost: x\r\n\r\n0123", 31);
	corpus_save("preamble", "strangers", &bytes);
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
	corpus_put_chunk(to, packed, migrate__control__pack(&msg, packed));
}

static void put_setup(struct bytes *to, char *flag)
{
	struct messages_setup setup;

	messages_setup_fill(&setup);
	setup.flag = flag;
	put_message(to, MIGRATE__CONTROL__BODY_SETUP, &setup.setup);
}

static void put_go(struct bytes *to, const void *cpus, size_t bytes)
{
	struct messages_go go;

	messages_go_fill(&go);
	go.thread->cpus.data = (uint8_t *)cpus;
	go.thread->cpus.len = bytes;
	put_message(to, MIGRATE__CONTROL__BODY_RESTORE_GO, &go.go);
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

static void put_empty(struct bytes *to, Migrate__Control__BodyCase body_case)
{
	Migrate__Commit nothing = MIGRATE__COMMIT__INIT;

	/* messages without fields look alike */
	put_message(to, body_case, &nothing);
}

static void put_hello(struct bytes *to)
{
	Migrate__Hello hello = MIGRATE__HELLO__INIT;

	hello.version = PROTOCOL_VERSION;
	hello.software = "migrate-helper";
	hello.hostname = "node1";
	put_message(to, MIGRATE__CONTROL__BODY_HELLO, &hello);
}

static void put_announce(struct bytes *to, uint64_t memory_bytes, uint64_t image_bytes)
{
	Migrate__Announce announce = MIGRATE__ANNOUNCE__INIT;

	announce.memory_bytes = memory_bytes;
	announce.image_bytes = image_bytes;
	put_message(to, MIGRATE__CONTROL__BODY_ANNOUNCE, &announce);
}

static void put_round(struct bytes *to, uint32_t nr)
{
	Migrate__RoundBegin round = MIGRATE__ROUND_BEGIN__INIT;

	round.round = nr;
	round.pages = 100;
	put_message(to, MIGRATE__CONTROL__BODY_ROUND_BEGIN, &round);
}

static void control_course(struct bytes *to)
{
	Migrate__Frozen frozen = MIGRATE__FROZEN__INIT;
	Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;

	frozen.criu = &criu;
	/* with digests */
	corpus_begin(to, 16);
	put_hello(to);
	put_setup(to, "fpu");
	put_announce(to, 1 << 20, 0);
	put_round(to, 1);
	put_maps(to, AT(0), AT(120));
	put_round(to, 2);
	put_message(to, MIGRATE__CONTROL__BODY_FROZEN, &frozen);
	put_announce(to, 0, 20);
	put_image(to, "core-77.img", 0, false);
	put_image(to, "core-77.img", 10, true);
	put_go(to, "\17", 1);
	put_digests(to, AT(0), 4);
	put_empty(to, MIGRATE__CONTROL__BODY_COMMIT);
	put_empty(to, MIGRATE__CONTROL__BODY_KILLED);
}

/* @behind: so many messages of the course come before */
static void begin_behind(struct bytes *to, unsigned int behind)
{
	corpus_begin(to, 2 * behind);
}

static void control(void)
{
	struct bytes bytes = { .size = 0 };

	control_course(&bytes);
	corpus_save("control", "whole-course", &bytes);
	begin_behind(&bytes, 1);
	put_setup(&bytes, "");
	corpus_save("control", "empty-cpu-flag", &bytes);
	begin_behind(&bytes, 2);
	put_maps(&bytes, AT(0), USER_END);
	put_maps(&bytes, AT(5), AT(5) + 1);
	corpus_save("control", "wrong-mapping", &bytes);
	begin_behind(&bytes, 2);
	put_announce(&bytes, ~0UL >> 18, 1UL << 47);
	corpus_save("control", "announce-too-much", &bytes);
	begin_behind(&bytes, 4);
	put_image(&bytes, "../x", 0, true);
	corpus_save("control", "image-with-slash", &bytes);
	begin_behind(&bytes, 4);
	put_go(&bytes, "", 0);
	corpus_save("control", "thread-without-cpus", &bytes);
	corpus_begin(&bytes, 16 | 2 * 5);
	put_digests(&bytes, USER_END - PAGE_BYTES, ~0U);
	corpus_save("control", "digest-too-long", &bytes);
	begin_behind(&bytes, 5);
	put_empty(&bytes, MIGRATE__CONTROL__BODY_COMMIT);
	put_empty(&bytes, MIGRATE__CONTROL__BODY_KILLED);
	corpus_save("control", "to-the-end", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, "\1\377\377\377\377\12\5", 7);
	corpus_save("control", "raw-too-long", &bytes);
}

static void put_attributes(struct bytes *to, Migrate__AttributeKind kind, char *detail)
{
	Migrate__Attribute attribute = MIGRATE__ATTRIBUTE__INIT, *list = &attribute;
	Migrate__Attributes attributes = MIGRATE__ATTRIBUTES__INIT;

	attribute.kind = kind;
	attribute.detail = detail;
	attributes.attributes = &list;
	attributes.n_attributes = 1;
	put_message(to, MIGRATE__CONTROL__BODY_ATTRIBUTES, &attributes);
}

/* With every field that the message has. */
static void put_filled(void *to, const Migrate__Control *msg)
{
	put_message(to, msg->body_case, msg->hello);
}

static void answers(void)
{
	Migrate__SetupReply reply = MIGRATE__SETUP_REPLY__INIT;
	Migrate__RoundAck ack = MIGRATE__ROUND_ACK__INIT;
	Migrate__Died died = MIGRATE__DIED__INIT;
	char *refusal = "no \033[2J room";
	struct bytes bytes;

	/* with rounds */
	corpus_begin(&bytes, 16);
	put_hello(&bytes);
	reply.ok = true;
	put_message(&bytes, MIGRATE__CONTROL__BODY_SETUP_REPLY, &reply);
	put_message(&bytes, MIGRATE__CONTROL__BODY_ROUND_ACK, &ack);
	put_attributes(&bytes, MIGRATE__ATTRIBUTE_KIND__CPUS, "thread 77: CPUs 0");
	messages_with(MIGRATE__CONTROL__BODY_READY, put_filled, &bytes);
	put_empty(&bytes, MIGRATE__CONTROL__BODY_STARTED);
	died.signal = 11;
	put_message(&bytes, MIGRATE__CONTROL__BODY_DIED, &died);
	corpus_save("answers", "whole-course", &bytes);
	begin_behind(&bytes, 1);
	reply.ok = false;
	reply.refusals = &refusal;
	reply.n_refusals = 1;
	put_message(&bytes, MIGRATE__CONTROL__BODY_SETUP_REPLY, &reply);
	corpus_save("answers", "refused", &bytes);
	begin_behind(&bytes, 3);
	for (int kind = 1; kind <= 12; kind++)
		put_attributes(&bytes, kind, "\033]0;x\a\nforged: a line\n\xff\xfe");
	corpus_save("answers", "all-kinds", &bytes);
	begin_behind(&bytes, 5);
	messages_with(MIGRATE__CONTROL__BODY_DONE, put_filled, &bytes);
	corpus_save("answers", "done-filled", &bytes);
	begin_behind(&bytes, 3);
	messages_with(MIGRATE__CONTROL__BODY_ABORT, put_filled, &bytes);
	corpus_save("answers", "abort-filled", &bytes);
}

static void managers(void)
{
	static const uint8_t success[] = { 4, 0, 0, 0, 8, 2, 24, 5 }, unsup[] = { 7, 0, 0, 0, 8, 3, 18, 3, 27, '[', 'm' };
	static const uint8_t too_long[] = { 1, 0, 1, 0, 8 }, kind[] = { 2, 0, 0, 0, 8, 9 };
	struct bytes bytes = { .size = 0 };

	corpus_put(&bytes, success, sizeof(success));
	corpus_put(&bytes, unsup, sizeof(unsup));
	corpus_save("msgfd", "two-answers", &bytes);
	corpus_put(&bytes, kind, sizeof(kind));
	corpus_save("msgfd", "no-such-type", &bytes);
	bytes.size = 0;
	corpus_put(&bytes, too_long, sizeof(too_long));
	corpus_save("msgfd", "too-long", &bytes);
}

/* Of criu dump: a place in its source, names that the program chose, advice */
static void logs(void)
{
	static const char lines[] =
		"(00.011421) Error (criu/files-reg.c:1785): Can't open file tmp/a\n b on restore: No such file or directory\n"
		"(00.011430) Error (criu/sk-unix.c:872): unix: External socket is used. Consider using --ext-unix-sk option.\n"
		"(00.011438) Error (criu/cr-dump.c:1669): Dump files (pid: 4711) failed with -1, use --link-remap; try it.\n";
	struct bytes bytes = { .size = 0 };

	corpus_put(&bytes, lines, sizeof(lines) - 1);
	corpus_save("log", "dump", &bytes);
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
	answers();
	corpus_frames();
	corpus_packed();
	corpus_requests();
	managers();
	logs();
	corpus_images();
	corpus_lazy();
	corpus_page_chain();
	corpus_lazy_link();
	corpus_lazy_answer();
	corpus_pages();
	corpus_streams();
	corpus_tmpfs();
	corpus_chain();
	return 0;
}
