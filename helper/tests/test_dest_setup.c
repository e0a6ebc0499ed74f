// SPDX-License-Identifier: GPL-2.0
/* SETUP: the lists that a source may announce, and the answer. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/setup.h"
#include "dest/precheck_files.h"
#include "session/cost.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/mm_hooks.h"

#define LATER_MS	10000
#define PID		1000
#define ID		3
#define BASE		0x7f0000000000UL
#define PROCESSES_MAX	20

static const struct criu_version criu = { .major = 3, .minor = 17, .sublevel = 1 };

static struct world {
	struct peer peer;
	struct control *source;
	struct objects objects;
	struct budget budget;
	struct place place;
	struct setup setup;
} w;

static void nothing(void *ctx)
{
}

static const struct address_terms terms;

/* Both ends have greeted each other. */
static int set_up(void **state)
{
	const struct peer_hooks hooks = { .cancel = nothing, .failed = nothing };
	struct error err = { 0 };
	int fd[2];

	memset(&w, 0, sizeof(w));
	peer_init(&w.peer, &hooks);
	budget_init(&w.budget, NULL, NULL);
	objects_init(&w.objects, &no_mm_hooks, &w.budget, &w.place);
	w.setup = (struct setup){
		.peer = &w.peer, .objects = &w.objects, .budget = &w.budget, .place = &w.place,
		.criu = &criu, .images_base = "/dev/shm", .terms = &terms,
	};
	setup_begin(&w.setup);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	w.source = control_new(CONN(fd[0]), COURSE_SOURCE, &err);
	assert_non_null(w.source);
	assert_int_equal(peer_open(&w.peer, CONN(fd[1]), &err), 0);
	assert_int_equal(walk_to(w.source, w.peer.ctl, PHASE_SETUP, &err), 0);
	assert_int_equal(peer_start(&w.peer, &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	mailbox_close(&w.peer.box);
	control_shutdown(w.peer.ctl);
	control_close(w.source);
	pthread_join(w.peer.thread, NULL);
	control_close(w.peer.ctl);
	mailbox_destroy(&w.peer.box);
	setup_destroy(&w.setup);
	mounts_free(&w.setup.mounts);
	objects_destroy(&w.objects);
	return 0;
}

/* So many of the objects are no processes, but shared memory. */
static size_t nr_shared;

/* Each process has an object: the first has @id and @pid. */
static void send_tree(const char *arch, uint32_t id, int32_t pid, size_t nr, uint32_t mappings)
{
	Migrate__CriuVersion version = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Object objects[PROCESSES_MAX], *list[PROCESSES_MAX];
	Migrate__Vma vma = MIGRATE__VMA__INIT, *vmas = &vma;
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct error err = { 0 };

	version.major = 3;
	for (size_t i = 0; i < nr; i++) {
		list[i] = &objects[i];
		migrate__object__init(&objects[i]);
		objects[i].id = id + i;
		objects[i].kind = MIGRATE__OBJECT_KIND__MM;
		objects[i].has_pid = true;
		objects[i].pid = pid + i;
		if (i < nr - nr_shared)
			continue;
		objects[i].kind = MIGRATE__OBJECT_KIND__SHM;
		objects[i].has_pid = false;
		objects[i].name = "an object";
	}
	vma.start = BASE;
	vma.end = BASE + 16 * PAGE_BYTES;
	vma.ours = true;
	setup.pid = PID;
	setup.comm = "test";
	setup.criu = &version;
	setup.kernel = "test";
	setup.arch = (char *)arch;
	setup.mode = "auto";
	setup.rss_bytes = 4 * PAGE_BYTES;
	setup.objects = list;
	setup.n_objects = nr;
	setup.has_mappings = mappings;
	setup.mappings = mappings;
	setup.vmas = &vmas;
	setup.n_vmas = 1;
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP;
	msg.setup = &setup;
	assert_int_equal(control_send(w.source, &msg, &err), 0);
}

static void send_setup(const char *arch, uint32_t id, int32_t pid)
{
	send_tree(arch, id, pid, 1, 0);
}

/* @fixed_ns: filled */
static bool answer_with(uint64_t *fixed_ns)
{
	struct error err = { 0 };
	Migrate__Control *msg = control_expect(w.source, MIGRATE__CONTROL__BODY_SETUP_REPLY, LATER_MS,
					       &err);
	bool ok;

	assert_non_null(msg);
	ok = msg->setup_reply->ok;
	assert_int_equal(msg->setup_reply->fixed_cost_ns > 0, ok);
	assert_int_equal(msg->setup_reply->n_refusals != 0, !ok);
	*fixed_ns = msg->setup_reply->fixed_cost_ns;
	migrate__control__free_unpacked(msg, NULL);
	return ok;
}

static bool answer(void)
{
	uint64_t ignored;

	return answer_with(&ignored);
}

/* Return: what a restore is expected to take */
static uint64_t cost_of(size_t nr, uint32_t mappings)
{
	struct utsname uts;
	struct error err = { 0 };
	uint64_t ns = 0;

	cost_dir = "/nonexistent";
	uname(&uts);
	send_tree(uts.machine, ID, PID, nr, mappings);
	assert_int_equal(setup_take(&w.setup, &err), 0);
	assert_true(answer_with(&ns));
	return ns;
}

/* A process began that has a file open. Return: of setup_take_needs(), with the source's answer in *@refused */
static int ask_for(const char *path, bool *refused, struct error *err)
{
	Migrate__MappedFile file = MIGRATE__MAPPED_FILE__INIT, *files = &file;
	Migrate__Needs needs = MIGRATE__NEEDS__INIT;
	struct error ignored = { 0 };
	Migrate__Control *msg;
	int ret;

	file.path = (char *)path;
	file.has_use = true;
	file.use = MIGRATE__FILE_USE__FILE_OPEN;
	file.has_mode = true;
	file.mode = S_IFCHR | 0666;
	file.has_any_size = file.any_size = true;
	needs.files = &files;
	needs.n_files = 1;
	ret = setup_take_needs(&w.setup, &needs, err);
	msg = control_expect(w.source, MIGRATE__CONTROL__BODY_NEEDS_REPLY, LATER_MS, &ignored);
	assert_non_null(msg);
	*refused = msg->needs_reply->n_refusals;
	migrate__control__free_unpacked(msg, NULL);
	return ret;
}

static void be_set_up(void)
{
	struct error err = { 0 };
	struct utsname uts;

	uname(&uts);
	send_setup(uts.machine, ID, PID);
	assert_int_equal(setup_take(&w.setup, &err), 0);
	assert_true(answer());
}

static void what_began_since_is_asked_for(void **state)
{
	struct error err = { 0 };
	bool refused;

	be_set_up();
	assert_int_equal(ask_for("/dev/null", &refused, &err), 0);
	assert_false(refused);
	/* a source that guesses */
	for (int i = 1; i < NEEDS_ASKED_MAX; i++)
		assert_int_equal(ask_for("/dev/null", &refused, &err), 0);
	assert_int_equal(setup_take_needs(&w.setup, &(Migrate__Needs)MIGRATE__NEEDS__INIT, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
}

static void what_is_not_here_is_refused(void **state)
{
	struct error err = { 0 };
	bool refused;

	be_set_up();
	/* it is for the source to end the migration, or to ask once more */
	assert_int_equal(ask_for("/nonexistent/file", &refused, &err), 0);
	assert_true(refused);
	assert_int_equal(ask_for("/dev/null", &refused, &err), 0);
	assert_false(refused);
}

/* Setup and all of Needs have one limit. */
static void needs_have_the_limits_of_setup(void **state)
{
	struct error err = { 0 };
	bool refused;

	be_set_up();
	assert_int_equal(w.setup.files, 0);
	w.setup.files = PRECHECK_MAX_FILES - 1;
	assert_int_equal(ask_for("/dev/null", &refused, &err), 0);
	assert_false(refused);
	assert_int_equal(ask_for("/dev/null", &refused, &err), 0);
	assert_true(refused);
}

static uint64_t alone_ns;

static void one_process_costs(void **state)
{
	alone_ns = cost_of(1, 0);
}

static void shared_memory_costs_nothing(void **state)
{
	uint64_t ns;

	nr_shared = 3;
	ns = cost_of(4, 0);
	nr_shared = 0;
	assert_int_equal(ns, alone_ns);
}

/* The machine is measured once a minute. */
static void further_processes_cost_more(void **state)
{
	uint64_t ns = cost_of(PROCESSES_MAX, 0);

	assert_true(2 * ns > 5 * alone_ns);
}

static void mappings_of_all_processes_cost(void **state)
{
	assert_true(cost_of(1, 1000000) > 10 * alone_ns);
}

static void the_object_is_made(void **state)
{
	struct utsname uts;
	struct error err = { 0 };
	struct mm *mm;

	uname(&uts);
	send_setup(uts.machine, ID, PID);
	assert_int_equal(setup_take(&w.setup, &err), 0);
	assert_true(answer());
	mm = objects_mm(&w.objects, ID);
	assert_non_null(mm);
	assert_int_equal(mm->pid, PID);
	assert_true(mirror_announced(&mm->mirror, BASE, 16));
	assert_int_equal(w.setup.said->pid, PID);
	assert_int_equal(w.setup.said->n_vmas, 0);
	assert_int_equal(atomic_load(&w.place.stage), PLACE_SETUP);
	assert_int_equal(w.budget.announced[BUDGET_MIRROR], 4 * PAGE_BYTES);
}

/* Nothing is made for a program that cannot run here, and the source hears why. */
static void another_machine_is_refused(void **state)
{
	struct error err = { 0 };

	send_setup("vax", ID, PID);
	assert_int_equal(setup_take(&w.setup, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_false(answer());
	assert_null(objects_next(&w.objects, NULL));
	assert_int_equal(atomic_load(&w.place.stage), PLACE_FREE);
}

static void an_object_of_another_task_is_refused(void **state)
{
	struct error err = { 0 };

	send_setup("x86_64", ID, PID + 1);
	assert_int_equal(setup_take(&w.setup, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_null(objects_next(&w.objects, NULL));
}

/* A list of mappings that comes after FINAL would move the windows of the mirror. */
static void mappings_after_final_are_refused(void **state)
{
	struct error err = { 0 };
	struct mm *mm = objects_add_mm(&w.objects, ID, PID, &err);
	uint64_t have, lack;

	assert_int_equal(setup_announce(mm, NULL, 0, &err), 0);
	objects_final(&w.objects, &have, &lack);
	assert_int_equal(setup_announce(mm, NULL, 0, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
}

static void a_late_source_is_turned_away(void **state)
{
	struct error err = { 0 };

	assert_int_equal(setup_late(&w.setup, "its connections", &err), 0);
	w.setup.by_ms = 0;
	assert_int_equal(setup_late(&w.setup, "its connections", &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	assert_non_null(strstr(err.what, "its connections"));
}

#define SETUP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SETUP_TEST(what_began_since_is_asked_for), SETUP_TEST(what_is_not_here_is_refused),
		SETUP_TEST(needs_have_the_limits_of_setup),
		SETUP_TEST(the_object_is_made),
		SETUP_TEST(one_process_costs), SETUP_TEST(shared_memory_costs_nothing), SETUP_TEST(further_processes_cost_more),
		SETUP_TEST(mappings_of_all_processes_cost),
		SETUP_TEST(another_machine_is_refused),
		SETUP_TEST(an_object_of_another_task_is_refused),
		SETUP_TEST(mappings_after_final_are_refused),
		SETUP_TEST(a_late_source_is_turned_away),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
