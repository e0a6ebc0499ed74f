// SPDX-License-Identifier: GPL-2.0
/* What a sender may send: the words of the list, against images. */
#define _GNU_SOURCE
#include <sys/resource.h>
#include "dest/mm.h"
#include "tests/sender_bench.h"

static void words(void **state)
{
	assert_true(parses(""));
	assert_false(rule.limited);
	assert_true(parses("uids=1000-1999,33"));
	assert_true(rule.limited);
	assert_true(sender_ids_have(&rule.uids, 1000, 1999) && sender_ids_have(&rule.uids, 33, 33));
	assert_false(sender_ids_have(&rule.uids, 0, 0) || sender_ids_have(&rule.uids, 999, 1000) ||
		     sender_ids_have(&rule.uids, 1999, 2000));
	/* groups are those of the users, unless they were said */
	assert_true(sender_ids_have(&rule.gids, 33, 33));
	assert_true(parses("gids=5 uids=7"));
	assert_true(sender_ids_have(&rule.gids, 5, 5) && !sender_ids_have(&rule.gids, 7, 7));
}

static void wrong_words(void **state)
{
	static const char *const wrong[] = {
		"uids=", "uids=0", "uids=0-10", "uids=5-4", "uids=1,", "uids=1-", "uids=-1", "uids=1 uids=2", "uid=1", "gids=1",
		"uids=4294967295", "uids=1x", "root", "uids=99999999999",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_false(parses(wrong[i]));
		assert_int_equal(err.code, CODE_USAGE);
	}
}

static void a_list_is_checked(void **state)
{
	struct test_dir dir;
	char path[128];
	FILE *file;

	dir_make(&dir);
	snprintf(path, sizeof(path), "%s/allow", dir.path);
	file = fopen(path, "w");
	memset(&err, 0, sizeof(err));
	assert_true(file && fputs("# who\none\n two uids=1000\n", file) >= 0 && !fflush(file));
	assert_int_equal(sender_rule_check_list(path, &err), 0);
	memset(&err, 0, sizeof(err));
	assert_true(fputs("three uids=root\n", file) >= 0 && !fclose(file));
	assert_int_equal(sender_rule_check_list(path, &err), -1);
	assert_non_null(strstr(err.what, "\"three\""));
	dir_remove(&dir);
}

static void a_program_of_its_users(void **state)
{
	struct bench *bench = *state;
	uint32_t none[2] = { 0, 0 };

	bench->creds.cap_eff = none;
	bench->creds.n_cap_eff = 2;
	write_core(bench, 78, &bench->creds);
	assert_int_equal(check(bench), 0);
}

/* Each of the four, of any thread */
static void another_user(void **state)
{
	struct bench *bench = *state;
	uint32_t *ids[] = { &bench->creds.uid, &bench->creds.euid, &bench->creds.suid, &bench->creds.fsuid };

	for (size_t i = 0; i < 4; i++) {
		*ids[i] = 0;
		refused(bench, "thread 78 has uid 0");
		*ids[i] = 1000;
	}
	bench->creds.sgid = 999;
	refused(bench, "gid 999");
	/* without a limit all may be sent */
	assert_true(parses(""));
	assert_int_equal(check(bench), 0);
}

/* What an image of a thread says of its process counts for nothing. */
static void a_thread_that_is_called_dead(void **state)
{
	struct bench *bench = *state;

	for (bench->task.task_state = 1; bench->task.task_state <= 7; bench->task.task_state++) {
		bench->creds.euid = 0;
		refused(bench, "thread 78 has uid 0");
		bench->creds.euid = 1000;
	}
}

static void another_group(void **state)
{
	struct bench *bench = *state;
	uint32_t groups[] = { 1001, 6 };

	bench->creds.groups = groups;
	bench->creds.n_groups = 2;
	refused(bench, "group 6");
}

static void capabilities(void **state)
{
	struct bench *bench = *state;
	uint32_t caps[] = { 0, 1 };
	uint32_t **lists[] = { &bench->creds.cap_inh, &bench->creds.cap_prm, &bench->creds.cap_eff, &bench->creds.cap_amb };
	size_t *counts[] = { &bench->creds.n_cap_inh, &bench->creds.n_cap_prm, &bench->creds.n_cap_eff, &bench->creds.n_cap_amb };

	for (size_t i = 0; i < 4; i++) {
		*lists[i] = caps;
		*counts[i] = 2;
		refused(bench, "has capabilities");
		*counts[i] = 0;
	}
}

static void images_that_do_not_say(void **state)
{
	struct bench *bench = *state;

	write_core(bench, 78, NULL);
	assert_int_equal(check(bench), -1);
	assert_non_null(strstr(err.what, "whose thread 78 is"));
}

static void files_that_give_rights(void **state)
{
	struct bench *bench = *state;
	Img__GhostFileEntry ghost = IMG__GHOST_FILE_ENTRY__INIT;

	ghost.mode = S_IFREG | 04755;
	ghost.uid = ghost.gid = 1000;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	assert_int_equal(check(bench), 0);
	ghost.uid = 0;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "(mode 104755, uid 0, gid 1000) that gives rights");
	/* what belongs to root is trusted by others */
	ghost.mode = S_IFREG | 0600;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "not of a user");
	ghost.uid = 1000;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	assert_int_equal(check(bench), 0);
	ghost.mode = S_IFLNK | 0777;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "gives rights");
	ghost.mode = S_IFBLK | 0600;
	one_record(bench->fd, "ghost-file-1.img", IMAGE_GHOST_FILE, &ghost.base);
	refused(bench, "gives rights");
}

static void rights(void **state)
{
	struct bench *bench = *state;
	Img__TaskRlimits limits = IMG__TASK_RLIMITS__INIT;
	Img__Rlimit limit = IMG__RLIMIT__INIT, *list[] = { &limit };
	struct rlimit own;

	bench->creds.has_secbits = true;
	bench->creds.secbits = 16;
	refused(bench, "securebits");
	bench->creds.secbits = 0;
	bench->creds.lsm_profile = "unconfined_t";
	refused(bench, "a label");
	bench->creds.lsm_profile = "";
	bench->bounds[0] &= ~1u;
	refused(bench, "bounding set");
	bench->creds.has_no_new_privs = bench->creds.no_new_privs = true;
	bench->thread.has_sched_policy = true;
	for (bench->thread.sched_policy = 1; bench->thread.sched_policy <= 2; bench->thread.sched_policy++)
		refused(bench, "real-time");
	bench->thread.sched_policy = 3;
	bench->thread.has_sched_nice = true;
	bench->thread.sched_nice = -1;
	refused(bench, "nice");
	bench->thread.sched_nice = 5;
	bench->task.has_oom_score_adj = true;
	bench->task.oom_score_adj = -1;
	refused(bench, "oom_score_adj");
	bench->task.oom_score_adj = 1;
	bench->task.has_loginuid = true;
	refused(bench, "login uid");
	bench->task.loginuid = UINT32_MAX;
	bench->task.rlimits = &limits;
	limits.rlimits = list;
	limits.n_rlimits = 1;
	limit.max = UINT64_MAX;
	assert_int_equal(getrlimit(RLIMIT_CPU, &own), 0);
	write_core(bench, 78, &bench->creds);
	assert_int_equal(check(bench), 0);
	own.rlim_max = 1u << 30;
	assert_int_equal(setrlimit(RLIMIT_CPU, &(struct rlimit){ own.rlim_max, own.rlim_max }), 0);
	limit.max = own.rlim_max + 1;
	refused(bench, "hard resource limit");
	limit.max--;
	write_core(bench, 78, &bench->creds);
	assert_int_equal(check(bench), 0);
}

static bool has_attribute(const Migrate__Process *said, const char *what)
{
	memset(&err, 0, sizeof(err));
	return sender_check_attributes(&rule, said, &err) == -1 && err.code == CODE_REFUSED && strstr(err.what, what);
}

static void attributes(void **state)
{
	Migrate__Process said = MIGRATE__PROCESS__INIT;
	Migrate__ThreadAttributes thread = MIGRATE__THREAD_ATTRIBUTES__INIT, *threads[] = { &thread };
	Migrate__Scheduling sched = MIGRATE__SCHEDULING__INIT;
	Migrate__JournalStream stream = MIGRATE__JOURNAL_STREAM__INIT, *streams[] = { &stream };

	said.threads = threads;
	said.n_threads = 1;
	thread.scheduling = &sched;
	thread.io_priority = 3 << 13;
	assert_int_equal(sender_check_attributes(&rule, &said, &err), 0);
	sched.policy = 6;
	assert_true(has_attribute(&said, "real-time scheduling"));
	sched.policy = 0;
	sched.nice = -5;
	assert_true(has_attribute(&said, "nice"));
	sched.nice = 0;
	thread.io_priority = 1 << 13;
	assert_true(has_attribute(&said, "input and output"));
	thread.io_priority = 0;
	thread.ambient = 1;
	assert_true(has_attribute(&said, "ambient"));
	thread.ambient = 0;
	thread.io_flusher = true;
	assert_true(has_attribute(&said, "I/O flusher"));
	thread.io_flusher = false;
	said.has_oom_score_adj = true;
	said.oom_score_adj = -1000;
	assert_true(has_attribute(&said, "oom_score_adj"));
	said.oom_score_adj = 0;
	said.has_autogroup_nice = true;
	said.autogroup_nice = -1;
	assert_true(has_attribute(&said, "autogroup"));
	said.autogroup_nice = 0;
	said.journal_streams = streams;
	said.n_journal_streams = 1;
	assert_true(has_attribute(&said, "journal"));
}

static void shared_files(void **state)
{
	struct mm mm = { 0 };
	struct shm_image image = { .mm = &mm };
	struct shm shm = { .images = &image, .nr = 1 };

	assert_int_equal(sender_check_shared(&rule, &shm, &err), 0);
	mm.mirror.path = "/dev/shm/x";
	assert_int_equal(sender_check_shared(&rule, &shm, &err), -1);
	assert_non_null(strstr(err.what, "a file of /dev/shm"));
	rule.limited = false;
	assert_int_equal(sender_check_shared(&rule, &shm, &err), 0);
}

static void servers_of_the_machine(void **state)
{
	Migrate__UnixServer server = MIGRATE__UNIX_SERVER__INIT, *list[] = { &server };
	struct refusals refusals = { .nr = 0 };
	Migrate__Setup setup = MIGRATE__SETUP__INIT;

	server.name = "/run/docker.sock";
	sender_check_needs(&rule, &setup, &refusals);
	assert_int_equal(refusals.nr, 0);
	setup.unix_servers = list;
	setup.n_unix_servers = 1;
	sender_check_needs(&rule, &setup, &refusals);
	assert_int_equal(refusals.nr, 1);
	assert_non_null(strstr(refusals.text[0], "/run/docker.sock"));
	setup.n_unix_servers = 0;
	setup.n_criu_options = 1;
	sender_check_needs(&rule, &setup, &refusals);
	assert_int_equal(refusals.nr, 2);
	assert_non_null(strstr(refusals.text[1], "no options"));
	precheck_free(&refusals);
}

/* Ids of a user namespace are compared as the machine's. */
static void a_user_namespace(void **state)
{
	struct bench *bench = *state;
	const struct id_range range = { .inside = 0, .outside = 1100, .count = 10 };
	struct refusals refusals = { .nr = 0 };
	struct mounts mounts = { 0 };
	uint32_t caps[] = { 1 };

	bench->namespaces.own = 1U << CRIU_NS_USER;
	assert_true(id_map_add(&bench->namespaces.uids, &range) && id_map_add(&bench->namespaces.gids, &range));
	bench->creds.uid = bench->creds.euid = bench->creds.suid = bench->creds.fsuid = 0;
	bench->creds.gid = bench->creds.egid = bench->creds.sgid = bench->creds.fsgid = 9;
	bench->creds.cap_prm = caps;
	bench->creds.n_cap_prm = 1;
	for (int i = 0; i < 2; i++)
		write_core(bench, bench->tids[i], &bench->creds);
	assert_int_equal(check(bench), 0);
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 0);
	bench->namespaces.uids.ranges[0].count = 901;
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 1);
	precheck_free(&refusals);
}

static void own_namespaces(void **state)
{
	struct bench *bench = *state;
	struct refusals refusals = { .nr = 0 };
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct mounts mounts;

	setup.root = "/home/u/root";
	mounts_take(&mounts, &setup, &refusals);
	assert_true(mounts_are_own(&mounts) && !refusals.nr);
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 1);
	assert_non_null(strstr(refusals.text[0], "none with a mount namespace of its own"));
	mounts_free(&mounts);
	bench->namespaces.own = 1U << CRIU_NS_MOUNT | 1U << CRIU_NS_NETWORK | 1U << CRIU_NS_CGROUP | 1U << CRIU_NS_UTS;
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 4);
	assert_non_null(strstr(refusals.text[2], "network namespace"));
	/* without a limit all may be sent */
	assert_true(parses(""));
	sender_check_setup(&rule, &mounts, &bench->namespaces, &refusals);
	assert_int_equal(refusals.nr, 4);
	precheck_free(&refusals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words), cmocka_unit_test(wrong_words), cmocka_unit_test(a_list_is_checked),
		BENCH_TEST(a_program_of_its_users), BENCH_TEST(another_user), BENCH_TEST(another_group),
		BENCH_TEST(a_thread_that_is_called_dead), BENCH_TEST(capabilities),
		BENCH_TEST(images_that_do_not_say), BENCH_TEST(files_that_give_rights), BENCH_TEST(a_user_namespace),
		BENCH_TEST(own_namespaces), BENCH_TEST(servers_of_the_machine), BENCH_TEST(rights), BENCH_TEST(attributes),
		BENCH_TEST(shared_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
