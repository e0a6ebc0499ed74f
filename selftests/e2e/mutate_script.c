// SPDX-License-Identifier: GPL-2.0
/* Writes the script of a valid source, from its first connection to the end. */
#include <endian.h>
#include <stdio.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include "pages/page_set.h"
#include "mutate.h"
#include "mutate_target.h"
#include "wire/stream.h"

#define PIECE_MAX	(1u << 20)	/* most bytes of an image in a message */
#define MANY_VMAS	20000
#define MANY_FLAGS	5000

struct step *script_add(struct script *script, enum step_kind kind, int conn, uint32_t what,
			const void *data, size_t size)
{
	struct step *step;

	if (script->nr == script->cap) {
		script->cap = script->cap ? 2 * script->cap : 64;
		script->steps = realloc(script->steps, script->cap * sizeof(*step));
		if (!script->steps)
			err(1, "realloc");
	}
	step = &script->steps[script->nr++];
	*step = (struct step){ kind, conn, what, malloc(size + 1), size };
	if (!step->data)
		err(1, "malloc");
	if (size)
		memcpy(step->data, data, size);
	return step;
}

void script_free(struct script *script)
{
	for (size_t i = 0; i < script->nr; i++)
		free(script->steps[i].data);
	free(script->steps);
	*script = (struct script){ .nr = 0 };
}

static void wait_for(struct script *script, Migrate__Control__BodyCase body_case)
{
	script_add(script, STEP_WAIT, CONTROL, body_case, NULL, 0);
}

/* @body: the struct of that message */
static void message(struct script *script, Migrate__Control__BodyCase body_case, void *body)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	uint32_t length;
	uint8_t *data;

	msg.body_case = body_case;
	msg.hello = body;
	length = migrate__control__get_packed_size(&msg);
	data = malloc(sizeof(length) + length);
	if (!data)
		err(1, "malloc");
	migrate__control__pack(&msg, data + sizeof(length));
	length = htole32(length);
	memcpy(data, &length, sizeof(length));
	script_add(script, STEP_SEND, CONTROL, 0, data, sizeof(length) + le32toh(length));
	free(data);
}

static void empty(struct script *script, Migrate__Control__BodyCase body_case)
{
	Migrate__Commit nothing = MIGRATE__COMMIT__INIT;

	/* messages without fields look alike */
	message(script, body_case, &nothing);
}

static void preambles(struct script *script)
{
	struct conn_preamble pre = { .magic = htole32(CONN_MAGIC), .version = htole16(1) };

	for (size_t i = 0; i < sizeof(pre.id); i++)
		pre.id[i] = random_below(256);
	for (int conn = 0; conn < CONNS; conn++) {
		pre.kind = CONN_CONTROL + conn;
		script_add(script, STEP_SEND, conn, 0, &pre, sizeof(pre));
	}
}

static void hello(struct script *script, enum twist twist)
{
	Migrate__Hello hello = MIGRATE__HELLO__INIT;
	static char name[60000];

	hello.version = PROTOCOL_VERSION;
	hello.software = "mutate";
	hello.hostname = "source";
	if (twist == TWIST_HOSTNAME) {
		for (size_t i = 0; i < sizeof(name) - 1; i++)
			name[i] = i % 7 ? 1 + random_below(255) : '\033';
		hello.hostname = name;
		hello.software = "\033]0;x\a\nforged: a line\n\xff\xfe";
	}
	message(script, MIGRATE__CONTROL__BODY_HELLO, &hello);
	wait_for(script, MIGRATE__CONTROL__BODY_HELLO);
}

struct vma_room {
	Migrate__Vma vma[MANY_VMAS], *list[MANY_VMAS];
	size_t nr;
};

static struct vma_room *vmas_of(const struct program *program, enum twist twist)
{
	static struct vma_room room;

	room.nr = program->nr_vmas;
	if (twist == TWIST_VMA_MANY)
		room.nr = MANY_VMAS;
	for (size_t i = 0; i < room.nr; i++) {
		Migrate__Vma *vma = &room.vma[i];

		migrate__vma__init(vma);
		if (i < program->nr_vmas) {
			vma->start = program->vmas[i].addr;
			vma->end = vma->start + program->vmas[i].nr_pages * PAGE_BYTES;
		} else {
			vma->start = room.vma[i - 1].end + PAGE_BYTES;
			vma->end = vma->start + PAGE_BYTES;
		}
		vma->prot = PROT_READ | PROT_WRITE;
		vma->anon = true;
		vma->ours = true;
		vma->name = "";
		room.list[i] = vma;
	}
	if (twist == TWIST_VMA_ORDER)
		room.vma[0].end = room.vma[1].end + random_below(2) * 17;
	if (twist == TWIST_VMA_HUGE)
		room.vma[random_below(room.nr)].end = USER_END;
	return &room;
}

static void setup(struct script *script, const struct program *program, enum twist twist)
{
	Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct vma_room *vmas = vmas_of(program, twist);
	static const int pids[] = { 0, 1, -5, 0x7fffffff };
	char *flag[MANY_FLAGS];
	struct utsname uts;

	uname(&uts);
	criu.major = 3;
	criu.minor = 17;
	criu.sublevel = 1;
	for (size_t i = 0; i < MANY_FLAGS; i++)
		flag[i] = twist == TWIST_CPU_FLAG ? "" : twist == TWIST_CPU_FLAGS ? "x\033y" : "fpu";
	setup.pid = twist == TWIST_PID ? pids[random_below(4)] : program->pid;
	mutate_objects(&setup, twist);
	setup.comm = "mutate_target";
	setup.threads = 1;
	setup.n_vmas = vmas->nr;
	setup.vmas = vmas->list;
	setup.rss_bytes = program->nr_pages * PAGE_BYTES;
	if (twist == TWIST_RSS)
		setup.rss_bytes = random_below(2) ? ~0UL / (1 + random_below(9)) : 0;
	setup.criu = &criu;
	setup.kernel = uts.release;
	setup.arch = uts.machine;
	setup.n_cpu_flags = twist == TWIST_CPU_FLAGS ? MANY_FLAGS : 1;
	setup.cpu_flags = flag;
	setup.mode = "auto";
	setup.max_frozen_s = twist == TWIST_FROZEN_S ? ~0U : 60;
	setup.has_verify = twist == TWIST_VERIFY;
	setup.verify = setup.has_verify;
	mutate_files(&setup, twist);
	mutate_sockets(&setup, twist);
	setup.has_descriptors = true;
	setup.descriptors = twist == TWIST_DESCRIPTORS ? ~0U : 4;
	message(script, MIGRATE__CONTROL__BODY_SETUP, &setup);
	wait_for(script, MIGRATE__CONTROL__BODY_SETUP_REPLY);
}

static void maps(struct script *script, const struct program *program, enum twist twist)
{
	struct vma_room *vmas = vmas_of(program, twist);
	Migrate__Maps maps = MIGRATE__MAPS__INIT;

	maps.object = twist == TWIST_OBJECTS ? random_below(3) : OBJECT;
	maps.n_vmas = vmas->nr;
	maps.vmas = vmas->list;
	message(script, MIGRATE__CONTROL__BODY_MAPS, &maps);
}

/* What comes in all: memory before each round, images before the first. */
static void announce(struct script *script, uint64_t memory_bytes, uint64_t image_bytes,
		     enum twist twist)
{
	Migrate__Announce announce = MIGRATE__ANNOUNCE__INIT;

	announce.memory_bytes = memory_bytes;
	announce.image_bytes = image_bytes;
	if (twist == TWIST_ANNOUNCE)
		announce.memory_bytes = ~0UL >> random_below(40);
	message(script, MIGRATE__CONTROL__BODY_ANNOUNCE, &announce);
}

/* struct frames - frames go out together, as they do over TCP */
struct frames {
	struct script *script;
	uint32_t round, object;
	enum twist twist;
};

static void frame(struct frames *to, uint32_t kind, uint64_t addr, uint32_t nr_pages,
		  const uint8_t *pages)
{
	struct {
		struct splice_vm_batch head;
		struct splice_vm_run run;
		uint8_t pages[FRAME_MAX_PAGES * PAGE_BYTES];
	} buf = { .head = { .magic = htole32(kind) } };
	size_t size = sizeof(buf.head);

	buf.head.nr_runs = htole32(nr_pages ? 1 : 0);
	buf.head.nr_pages = htole32(pages ? nr_pages : 0);
	buf.head.cookie = htole64(FRAME_COOKIE(to->round, to->object));
	buf.run.addr = htole64(addr);
	buf.run.nr_pages = htole32(nr_pages);
	if (nr_pages)
		size += sizeof(buf.run);
	if (pages) {
		memcpy(buf.pages, pages, nr_pages * PAGE_BYTES);
		size += nr_pages * PAGE_BYTES;
	}
	script_add(to->script, STEP_SEND, MEMORY, 0, &buf, size);
}

static bool is_late(const struct span *span, uint64_t page)
{
	uint64_t addr = span->addr + page * PAGE_BYTES;

	return addr >= TARGET_ADDR + (TARGET_PAGES - TARGET_LATE) * PAGE_BYTES &&
	       addr < TARGET_ADDR + TARGET_PAGES * PAGE_BYTES;
}

/* Pages of the program: those that come late, or the others. */
static void pages(struct frames *to, const struct program *program, bool late)
{
	for (size_t i = 0; i < program->nr_spans; i++) {
		const struct span *span = &program->spans[i];

		for (uint64_t page = 0; page < span->nr_pages; page++)
			if (is_late(span, page) == late)
				frame(to, FRAME_PAGES, span->addr + page * PAGE_BYTES, 1,
				      span->data + page * PAGE_BYTES);
	}
}

/* Some of the program's memory, or all of it, is no more at the source. */
static void lose(struct frames *to, const struct program *program)
{
	const struct span *span = &program->spans[random_below(program->nr_spans)];

	if (random_below(2))
		frame(to, FRAME_ENDED, 0, 0, NULL);
	else
		frame(to, FRAME_LOST, span->addr, 1 + random_below(span->nr_pages), NULL);
}

static void round_of(struct frames *to, const struct program *program, uint32_t nr)
{
	Migrate__RoundBegin begin = MIGRATE__ROUND_BEGIN__INIT;
	const struct span *span = &program->spans[0];

	begin.round = to->twist == TWIST_ROUND ? random_below(5) - 1 : nr;
	begin.pages = nr == 1 ? program->nr_pages : 1;
	to->round = nr;
	announce(to->script, program->nr_pages * PAGE_BYTES, 0, to->twist);
	message(to->script, MIGRATE__CONTROL__BODY_ROUND_BEGIN, &begin);
	if (nr == 1)
		pages(to, program, false);
	else
		frame(to, FRAME_PAGES, span->addr, 1, span->data);
	frame(to, FRAME_ZERO, TARGET_ADDR + (TARGET_PAGES - 1) * PAGE_BYTES, 1, NULL);
	frame(to, FRAME_DROPPED, USER_END - PAGE_BYTES, 1, NULL);
	if (to->twist == TWIST_OUTSIDE)
		frame(to, FRAME_PAGES, 0x1000 * random_below(0x7fffffff), 1, span->data);
	frame(to, FRAME_ROUND, 0, 0, NULL);
	wait_for(to->script, MIGRATE__CONTROL__BODY_ROUND_ACK);
}

static void final(struct frames *to, const struct program *program)
{
	Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Frozen frozen = MIGRATE__FROZEN__INIT;

	criu.major = 3;
	frozen.criu = &criu;
	message(to->script, MIGRATE__CONTROL__BODY_FROZEN, &frozen);
	frame(to, FRAME_STALE, TARGET_ADDR + (TARGET_PAGES - 1) * PAGE_BYTES, 1, NULL);
	for (size_t i = 0; i < program->nr_spans; i++)
		frame(to, FRAME_POPULATED, program->spans[i].addr,
		      to->twist == TWIST_POPULATED ? ~0U >> random_below(16) :
		      program->spans[i].nr_pages, NULL);
	frame(to, FRAME_FINAL, 0, 0, NULL);
	wait_for(to->script, MIGRATE__CONTROL__BODY_FINAL_ACK);
}

static void image(struct script *script, const struct file *file, enum twist twist)
{
	static char *const names[] = {
		"../x", "parent", "", ".", "a/b", "core-1.img", "\033[2J.img",
	};
	Migrate__ImageFile piece = MIGRATE__IMAGE_FILE__INIT;
	size_t at = 0;

	piece.name = (char *)file->name;
	if (twist == TWIST_IMAGE_NAME && !random_below(4))
		piece.name = names[random_below(7)];
	do {
		piece.offset = at;
		if (twist == TWIST_IMAGE_OFFSET && !random_below(4))
			piece.offset = random_below(2) ? ~0UL : 1;
		piece.data.data = file->data + at;
		piece.data.len = file->size - at < PIECE_MAX ? file->size - at : PIECE_MAX;
		at += piece.data.len;
		piece.last = at == file->size;
		message(script, MIGRATE__CONTROL__BODY_IMAGE_FILE, &piece);
	} while (at < file->size);
}

/* Bytes of what the helper itself reads; what CRIU alone reads is CRIU's. */
static bool is_read_here(const struct file *file)
{
	return !strncmp(file->name, "core-", 5) || !strncmp(file->name, "mm-", 3) ||
	       !strncmp(file->name, "pagemap-", 8) || !strcmp(file->name, "pstree.img");
}

static void go(struct script *script, const struct program *program, enum twist twist)
{
	Migrate__Process process = MIGRATE__PROCESS__INIT, *processes[] = { &process, &process };
	static char *const groups[] = { "/mutate", "/a/../../b", "", "x", "/\n", "//", "/.", "/a/" };
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;

	go.files = program->nr_files;
	if (twist == TWIST_FILES)
		go.files = random_below(2) ? 0 : ~0U;
	process.pid = program->pid;
	mutate_threads(&process, twist);
	process.has_coredump_filter = true;
	process.coredump_filter = twist == TWIST_PROCESS ? ~0U : 0x23;
	process.has_pending = process.has_oom_score_adj = process.has_autogroup_nice =
		twist == TWIST_PROCESS;
	process.pending = ~0UL;
	process.oom_score_adj = random_below(~0U);
	process.autogroup_nice = random_below(~0U);
	if (twist == TWIST_PROCESS)
		process.sub_group = groups[random_below(sizeof(groups) / sizeof(*groups))];
	go.processes = processes;
	go.n_processes = twist == TWIST_OBJECTS ? random_below(3) : 1;
	if (twist == TWIST_OBJECTS)
		process.pid += random_below(2);
	mutate_streams(&process, twist);
	message(script, MIGRATE__CONTROL__BODY_RESTORE_GO, &go);
}

static void images(struct script *script, const struct program *program, enum twist twist)
{
	static uint8_t more[PIECE_MAX];
	uint64_t bytes = 0;

	for (size_t i = 0; i < program->nr_files; i++)
		bytes += program->files[i].size;
	announce(script, 0, bytes, TWIST_NONE);
	for (size_t i = 0; i < program->nr_files; i++) {
		struct file file = program->files[i];
		uint8_t *copy = malloc(file.size + 1);

		if (!copy)
			err(1, "malloc");
		memcpy(copy, file.data ?: copy, file.size);
		file.data = copy;
		if (twist == TWIST_IMAGE_BYTES && is_read_here(&file) && file.size)
			file.data[random_below(file.size)] ^= 1 << random_below(8);
		image(script, &file, twist);
		free(copy);
	}
	for (int i = 0; twist == TWIST_IMAGE_MORE && i < 24; i++) {
		struct file file = { .data = more, .size = PIECE_MAX };

		snprintf(file.name, sizeof(file.name), "more-%d.img", i);
		image(script, &file, TWIST_NONE);
	}
	go(script, program, twist);
}

static void digests(struct script *script, const struct program *program)
{
	Migrate__DigestRun run = MIGRATE__DIGEST_RUN__INIT, *runs = &run;
	Migrate__Digests digests = MIGRATE__DIGESTS__INIT;

	run.addr = random_below(2) ? program->spans[0].addr : USER_END - PAGE_BYTES;
	run.nr_pages = random_below(2) ? 1 : ~0U;
	run.xxh3 = 42;
	digests.object = OBJECT + (random_below(8) == 0);
	digests.n_runs = 1;
	digests.runs = &runs;
	digests.last = random_below(2);
	message(script, MIGRATE__CONTROL__BODY_DIGESTS, &digests);
}

/* As of a process that began: mostly files that are not there, or what is no list at all. */
static void needs(struct script *script)
{
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	Migrate__Needs said = MIGRATE__NEEDS__INIT;

	mutate_files(&setup, random_below(2) ? TWIST_FILE_USE : TWIST_FILE_PATH);
	mutate_sockets(&setup, random_below(2) ? TWIST_SERVERS : TWIST_ADDRESSES);
	said.files = setup.files;
	said.n_files = random_below(2) ? setup.n_files : 0;
	said.unix_servers = setup.unix_servers;
	said.n_unix_servers = setup.n_unix_servers;
	said.addresses = setup.addresses;
	said.n_addresses = setup.n_addresses;
	for (unsigned int i = random_below(2); i < 2; i++)
		message(script, MIGRATE__CONTROL__BODY_NEEDS, &said);
}

static void odd_message(struct script *script)
{
	static const Migrate__Control__BodyCase cases[] = {
		MIGRATE__CONTROL__BODY_FETCH_ALL, MIGRATE__CONTROL__BODY_COMMIT,
		MIGRATE__CONTROL__BODY_STARTED, MIGRATE__CONTROL__BODY_KILLED,
		MIGRATE__CONTROL__BODY_HEARTBEAT, MIGRATE__CONTROL__BODY_ATTRIBUTES,
		MIGRATE__CONTROL__BODY_DIED, MIGRATE__CONTROL__BODY_ANNOUNCE,
	};

	empty(script, cases[random_below(8)]);
}

static void give_up(struct script *script)
{
	Migrate__Abort abort = MIGRATE__ABORT__INIT;

	abort.reason = "\033[31mgave up\n\xc3 forged";
	abort.has_code = true;
	abort.code = random_below(300);
	message(script, MIGRATE__CONTROL__BODY_ABORT, &abort);
}

void script_write(struct script *script, const struct program *program, enum twist twist)
{
	struct frames frames = { .script = script, .object = OBJECT, .twist = twist };

	if (twist == TWIST_MM)
		frames.object++;
	preambles(script);
	hello(script, twist);
	setup(script, program, twist);
	round_of(&frames, program, 1);
	maps(script, program, twist);
	round_of(&frames, program, 2);
	if (twist == TWIST_NEEDS)
		needs(script);
	if (twist == TWIST_WRONG_WAY)
		odd_message(script);
	if (twist == TWIST_DIGESTS || (twist == TWIST_VERIFY && random_below(2)))
		digests(script, program);
	final(&frames, program);
	images(script, program, twist);
	if (twist == TWIST_VERIFY)
		digests(script, program);
	if (twist == TWIST_ABORT)
		give_up(script);
	if (twist != TWIST_COMMIT) {
		wait_for(script, MIGRATE__CONTROL__BODY_ATTRIBUTES);
		wait_for(script, MIGRATE__CONTROL__BODY_READY);
	}
	/* a frame may overtake COMMIT */
	if (twist == TWIST_LOST && random_below(2))
		lose(&frames, program);
	empty(script, MIGRATE__CONTROL__BODY_COMMIT);
	wait_for(script, MIGRATE__CONTROL__BODY_STARTED);
	if (twist == TWIST_LOST)
		lose(&frames, program);
	pages(&frames, program, true);
	frame(&frames, FRAME_PUSHED, 0, 0, NULL);
	wait_for(script, MIGRATE__CONTROL__BODY_DONE);
	empty(script, MIGRATE__CONTROL__BODY_KILLED);
}
