// SPDX-License-Identifier: GPL-2.0
/* The contents of Setup, and the source's action on the answer. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/needs.h"
#include "source/setup.h"
#include "wire/codec.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"

#define LATER_MS	10000

static const struct shape shape = { .descriptors = 5, .image_pages = 9, .mappings = 11 };

struct bench {
	struct tree tree;
	struct criu_version criu;
	struct control *source, *dest;
	struct mailbox box;
	struct setup setup;
	struct source_shms shms;
	Migrate__SetupReply reply;
	Migrate__Control *got;	/* Setup */
	char *refusal;		/* of Needs; NULL: none */
	pthread_t receiver, answerer;
	uint64_t peer_fixed_ns;
	bool stale;
	uint32_t codecs;
	int fleeting;		/* closed before the answer; -1: none */
	struct error err;
};

static void *receive_body(void *arg)
{
	struct bench *bench = arg;
	struct error err = { 0 };

	mailbox_receive(&bench->box, bench->source, &err);
	mailbox_hang_up(&bench->box);
	return NULL;
}

static void *answer_body(void *arg)
{
	struct bench *bench = arg;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct error err = { 0 };

	bench->got = control_expect(bench->dest, MIGRATE__CONTROL__BODY_SETUP, LATER_MS, &err);
	if (bench->fleeting >= 0)
		close(bench->fleeting);
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP_REPLY;
	msg.setup_reply = &bench->reply;
	if (bench->got)
		control_send(bench->dest, &msg, &err);
	return NULL;
}

/* Two processes, which are both this one: only the list of objects has each. */
static const struct migrate_options opts;

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	for (int i = 0; i < 2; i++) {
		struct source_process *process = tree_add(&bench->tree, getpid(), &bench->err);

		if (!process || source_mm_read_vmas(&process->mm, &bench->err))
			return -1;
	}
	mailbox_init(&bench->box, "the destination");
	migrate__setup_reply__init(&bench->reply);
	bench->reply.ok = true;
	bench->fleeting = -1;
	bench->criu = (struct criu_version){ .major = 3, .minor = 17, .sublevel = 1 };
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	bench->source = control_new(CONN(pair[0]), COURSE_SOURCE, &bench->err);
	bench->dest = control_new(CONN(pair[1]), COURSE_DEST, &bench->err);
	bench->setup = (struct setup){
		.opts = &opts,
		.tree = &bench->tree, .shms = &bench->shms, .criu = &bench->criu, .mode = MODE_PRECOPY, .verify = true,
		.max_frozen_s = 7, .shape = &shape,
		.ctl = bench->source, .box = &bench->box, .stale = &bench->stale, .codecs = &bench->codecs,
	};
	return walk_to(bench->source, bench->dest, PHASE_SETUP, &bench->err) ||
	       pthread_create(&bench->receiver, NULL, receive_body, bench) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	mailbox_close(&bench->box);
	control_shutdown(bench->source);
	pthread_join(bench->receiver, NULL);
	migrate__control__free_unpacked(bench->got, NULL);
	control_close(bench->source);
	control_close(bench->dest);
	tree_destroy(&bench->tree);
	mailbox_destroy(&bench->box);
	free(bench);
	return 0;
}

static int run(struct bench *bench)
{
	int ret;

	pthread_create(&bench->answerer, NULL, answer_body, bench);
	ret = setup_run(&bench->setup, &bench->peer_fixed_ns, &bench->err);
	pthread_join(bench->answerer, NULL);
	assert_non_null(bench->got);
	return ret;
}

static void the_program_is_told(void **state)
{
	struct bench *bench = *state;
	const struct source_process *root = tree_root(&bench->tree);
	const Migrate__Setup *setup;

	assert_int_equal(run(bench), 0);
	setup = bench->got->setup;
	assert_int_equal(setup->pid, root->status.ns_pid);
	assert_string_equal(setup->comm, root->status.comm);
	assert_int_equal(setup->n_vmas, root->mm.vmas.nr);
	assert_string_equal(setup->mode, "precopy");
	assert_true(setup->verify);
	assert_int_equal(setup->max_frozen_s, 7);
	assert_int_equal(setup->descriptors, 5);
	assert_int_equal(setup->image_pages, 9);
	assert_int_equal(setup->mappings, 11);
	assert_int_equal(setup->criu->minor, 17);
	assert_int_equal(bench->peer_fixed_ns, 0);
}

/* Of those that this end has, the destination's. */
static void compression_is_agreed_on(void **state)
{
	Migrate__Compression theirs[] = { MIGRATE__COMPRESSION__COMPRESSION_LZ4, 99 };
	struct bench *bench = *state;

	bench->codecs = CODEC_ALL;
	bench->reply.compressions = theirs;
	bench->reply.n_compressions = 2;
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->got->setup->n_compressions, 2);
	assert_int_equal(bench->codecs, CODEC_BIT(CODEC_LZ4));
}

/* An earlier version says nothing of it, and what was not offered is not taken. */
static void no_compression(void **state)
{
	Migrate__Compression theirs = MIGRATE__COMPRESSION__COMPRESSION_LZ4;
	struct bench *bench = *state;

	bench->codecs = CODEC_BIT(CODEC_ZSTD);
	bench->reply.compressions = &theirs;
	bench->reply.n_compressions = 1;
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->got->setup->n_compressions, 1);
	assert_int_equal(bench->codecs, 0);
}

/* Pages of files count for none, and shared memory for one. */
static void the_memory_of_all_processes(void **state)
{
	static const uint64_t rss[] = { 500, 600 }, own[] = { 10, 20 }, shmem[] = { 5, 3 };
	struct bench *bench = *state;

	for (size_t i = 0; i < 2; i++) {
		struct proc_status *status = &bench->tree.processes[i]->status;

		status->rss_bytes = rss[i];
		status->own_bytes = own[i];
		status->shmem_bytes = shmem[i];
	}
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->got->setup->rss_bytes, 35);
}

/* Of the root they are in the list of mappings. */
static void huge_pages_of_all_processes(void **state)
{
	struct bench *bench = *state;
	const Migrate__Setup *setup;

	for (size_t i = 0; i < 2; i++) {
		struct vma *vma = bench->tree.processes[i]->mm.vmas.vmas;

		for (size_t nr = 0; nr < 2; nr++) {
			vma[nr].hugetlb = true;
			vma[nr].page_kib = 2048;
			vma[nr].end = vma[nr].start + (2UL << 20);
		}
	}
	assert_int_equal(run(bench), 0);
	setup = bench->got->setup;
	assert_int_equal(setup->n_huge_pages, 1);
	assert_int_equal(setup->huge_pages[0]->kib, 2048);
	assert_int_equal(setup->huge_pages[0]->bytes, 4 << 20);
}

#define MAPPED	(16UL << 20)

/* How much @status says more than before, in parts of MAPPED; other memory may come and go. */
static bool has_grown(uint64_t before, uint64_t now)
{
	return now >= before + MAPPED / 2;
}

static void kinds_of_memory_are_told_apart(void **state)
{
	struct proc_status before, shared, own;
	struct error err = { 0 };
	void *at;

	assert_int_equal(proc_status_read(getpid(), &before, &err), 0);
	at = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(proc_status_read(getpid(), &shared, &err), 0);
	assert_true(has_grown(before.rss_bytes, shared.rss_bytes));
	assert_true(has_grown(before.shmem_bytes, shared.shmem_bytes));
	assert_false(has_grown(before.own_bytes, shared.own_bytes));
	munmap(at, MAPPED);
	at = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(proc_status_read(getpid(), &own, &err), 0);
	assert_true(has_grown(before.own_bytes, own.own_bytes));
	assert_false(has_grown(before.shmem_bytes, own.shmem_bytes));
	munmap(at, MAPPED);
}

/* A file of /dev/shm that is there already ends the migration here, before anything is sent. */
static void shared_memory_is_in_setup(void **state)
{
	struct source_shm shm = { .object = 7, .named = true, .name = "/dev/shm/a" };
	struct source_shm gone = { .object = 8, .gone = true }, *list[] = { &shm, &gone };
	struct bench *bench = *state;
	const Migrate__Object *object;

	bench->shms = (struct source_shms){ .list = list, .nr = 2 };
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->got->setup->n_objects, 3);
	object = bench->got->setup->objects[2];
	assert_int_equal(object->id, 7);
	assert_int_equal(object->kind, MIGRATE__OBJECT_KIND__SHM);
	assert_string_equal(object->name, "/dev/shm/a");
	assert_true(object->file && shm.announced && !gone.announced);
}

/* All that a frame may name. */
static void each_object_is_announced(void **state)
{
	struct bench *bench = *state;
	const Migrate__Setup *setup;

	assert_int_equal(run(bench), 0);
	setup = bench->got->setup;
	assert_int_equal(setup->n_objects, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const Migrate__Object *object = setup->objects[i];

		assert_int_equal(object->id, i + 1);
		assert_non_null(tree_find_mm(&bench->tree, object->id));
		assert_int_equal(object->kind, MIGRATE__OBJECT_KIND__MM);
		assert_int_equal(object->pid, getpid());
	}
}

/* No restore takes a century: the estimate stays a number that can be reckoned with. */
static void the_cost_is_taken_within_reason(void **state)
{
	struct bench *bench = *state;

	bench->reply.has_fixed_cost_ns = true;
	bench->reply.fixed_cost_ns = UINT64_MAX;
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->peer_fixed_ns, 3600000000000UL);
}

static void a_refusal_is_the_error(void **state)
{
	struct bench *bench = *state;
	char *refusals[] = { "process 4711 exists there" };

	bench->reply.ok = false;
	bench->reply.refusals = refusals;
	bench->reply.n_refusals = 1;
	assert_int_equal(run(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, "process 4711 exists there"));
}

/* The destination has looked for a file that was there for a moment only. */
static void a_refusal_for_what_is_closed_is_stale(void **state)
{
	char path[] = "/tmp/fleeting-XXXXXX";
	struct bench *bench = *state;

	bench->reply.ok = false;
	bench->fleeting = mkstemp(path);
	assert_true(bench->fleeting >= 0);
	assert_int_equal(run(bench), -1);
	unlink(path);
	assert_true(bench->stale);
}

static void a_refusal_for_what_is_open_is_not(void **state)
{
	char path[] = "/tmp/lasting-XXXXXX";
	struct bench *bench = *state;
	int fd = mkstemp(path);

	bench->reply.ok = false;
	assert_true(fd >= 0);
	assert_int_equal(run(bench), -1);
	assert_false(bench->stale);
	unlink(path);
	close(fd);
}

static void *needs_body(void *arg)
{
	Migrate__NeedsReply reply = MIGRATE__NEEDS_REPLY__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct bench *bench = arg;
	struct error err = { 0 };

	migrate__control__free_unpacked(bench->got, NULL);
	/* behind the mappings of the second process */
	bench->got = control_expect(bench->dest, MIGRATE__CONTROL__BODY_MAPS, LATER_MS, &err);
	migrate__control__free_unpacked(bench->got, NULL);
	bench->got = control_expect(bench->dest, MIGRATE__CONTROL__BODY_NEEDS, LATER_MS, &err);
	reply.refusals = &bench->refusal;
	reply.n_refusals = bench->refusal != NULL;
	msg.body_case = MIGRATE__CONTROL__BODY_NEEDS_REPLY;
	msg.needs_reply = &reply;
	if (bench->got)
		control_send(bench->dest, &msg, &err);
	return NULL;
}

/* A process began; it is this one too. Return: of needs_ask() */
static int ask(struct bench *bench)
{
	const struct needs_asker asker = {
		.opts = &opts, .tree = &bench->tree, .ctl = bench->source, .box = &bench->box,
	};
	struct source_process *process = tree_add(&bench->tree, getpid(), &bench->err);
	int ret;

	assert_non_null(process);
	assert_int_equal(source_mm_read_vmas(&process->mm, &bench->err), 0);
	pthread_create(&bench->answerer, NULL, needs_body, bench);
	ret = needs_ask(&asker, &bench->err);
	pthread_join(bench->answerer, NULL);
	assert_non_null(bench->got);
	return ret;
}

static void what_began_since_is_asked_for(void **state)
{
	const struct needs_asker none = { .opts = &opts, .tree = &((struct bench *)*state)->tree };
	struct bench *bench = *state;

	assert_int_equal(run(bench), 0);
	/* nothing began: there is nobody whom it could ask */
	assert_int_equal(needs_ask(&none, &bench->err), 0);
	assert_int_equal(ask(bench), 0);
	assert_true(bench->got->needs->n_files > 0);
	assert_int_equal(needs_ask(&none, &bench->err), 0);
}

static void what_began_since_is_refused(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(run(bench), 0);
	bench->refusal = "the file /srv/x is not there";
	assert_int_equal(ask(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, "/srv/x"));
}

static void no_answer(void **state)
{
	struct bench *bench = *state;

	control_shutdown(bench->dest);
	assert_int_equal(setup_run(&bench->setup, &bench->peer_fixed_ns, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_NETWORK);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(the_program_is_told), BENCH_TEST(compression_is_agreed_on), BENCH_TEST(no_compression),
		BENCH_TEST(each_object_is_announced),
		BENCH_TEST(shared_memory_is_in_setup),
		BENCH_TEST(a_refusal_for_what_is_closed_is_stale), BENCH_TEST(a_refusal_for_what_is_open_is_not),
		BENCH_TEST(the_memory_of_all_processes), BENCH_TEST(huge_pages_of_all_processes),
		cmocka_unit_test(kinds_of_memory_are_told_apart),
		BENCH_TEST(the_cost_is_taken_within_reason), BENCH_TEST(a_refusal_is_the_error),
		BENCH_TEST(no_answer), BENCH_TEST(what_began_since_is_asked_for),
		BENCH_TEST(what_began_since_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
