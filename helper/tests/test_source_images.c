// SPDX-License-Identifier: GPL-2.0
/* CRIU's images go out whole, announced before, and RestoreGo says how many there are. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "os/journal.h"
#include "source/images.h"
#include "source/tree.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/criu_images.h"

#define LATER_MS	30000
#define BIG_BYTES	((3UL << 20) + 123)
#define SMALL_BYTES	17
#define OOM_SCORE_ADJ	321

/** struct file - as it came, until its last piece */
struct file {
	char name[32];
	uint8_t *data;
	size_t bytes;
	bool last;
};

/**
 * struct kit - a program that stands for one that is frozen, and a destination that takes all messages
 * @announced: bytes of images, before the first file
 * @files: @go: of RestoreGo
 * @processes: in it; @streams: of the journal, in all of these
 */
struct kit {
	struct test_dir dir;
	struct tree tree;
	struct source_shms shms;
	struct cgroup group;
	struct figures figures;
	struct mailbox box;
	struct images images;
	struct control *source, *dest;
	pid_t child;
	pthread_t thread;
	uint64_t announced;
	struct file files[4];
	size_t nr_files;
	bool go;
	uint32_t go_files;
	int go_score;
	uint64_t go_pending;
	size_t processes, streams;
	struct error err;
};

static struct kit *kit;

static struct file *file_of(const char *name)
{
	for (size_t i = 0; i < kit->nr_files; i++)
		if (!strcmp(kit->files[i].name, name))
			return &kit->files[i];
	return NULL;
}

/* Pieces of a file come in order, and none after the last one. */
static void take_piece(const Migrate__ImageFile *piece)
{
	struct file *file = file_of(piece->name);

	assert_true(kit->announced > 0);
	if (!file) {
		assert_true(kit->nr_files < 4);
		file = &kit->files[kit->nr_files++];
		snprintf(file->name, sizeof(file->name), "%s", piece->name);
	}
	assert_false(file->last);
	assert_int_equal(piece->offset, file->bytes);
	file->data = realloc(file->data, file->bytes + piece->data.len + 1);
	if (piece->data.len)
		memcpy(file->data + file->bytes, piece->data.data, piece->data.len);
	file->bytes += piece->data.len;
	file->last = piece->last;
}

static void *take_all(void *arg)
{
	struct error err = { 0 };
	Migrate__Control *msg;

	while ((msg = control_recv(kit->dest, -1, &err))) {
		if (msg->body_case == MIGRATE__CONTROL__BODY_ANNOUNCE)
			kit->announced = msg->announce->image_bytes;
		if (msg->body_case == MIGRATE__CONTROL__BODY_IMAGE_FILE)
			take_piece(msg->image_file);
		if (msg->body_case == MIGRATE__CONTROL__BODY_RESTORE_GO) {
			kit->go = true;
			kit->go_files = msg->restore_go->files;
			kit->go_score = msg->restore_go->processes[0]->oom_score_adj;
			kit->go_pending = msg->restore_go->processes[0]->pending;
			kit->processes = msg->restore_go->n_processes;
			for (size_t i = 0; i < kit->processes; i++)
				kit->streams += msg->restore_go->processes[i]->n_journal_streams;
		}
		migrate__control__free_unpacked(msg, NULL);
	}
	return NULL;
}

/* A signal waits for it, and it has a score of its own. */
static void program(pid_t parent)
{
	sigset_t set;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR2);
	dprintf(fd, "%d", OOM_SCORE_ADJ);
	close(fd);
	while (getppid() == parent)
		usleep(1000);
	_exit(0);
}

static bool is_ready(void)
{
	struct error err = { 0 };
	int score = 0;

	return !proc_oom_score_adj(kit->child, &score, &err) && score == OOM_SCORE_ADJ;
}

static void start_program(void)
{
	pid_t parent = getpid();

	kit->child = fork();
	if (!kit->child)
		program(parent);
	for (int ms = 0; ms < LATER_MS && !is_ready(); ms++)
		usleep(1000);
	assert_true(is_ready());
}

static uint8_t byte_at(size_t at)
{
	return at * 7 + at / 4096;
}

static void write_files(void)
{
	uint8_t *data = malloc(BIG_BYTES);

	for (size_t i = 0; i < BIG_BYTES; i++)
		data[i] = byte_at(i);
	file_write(kit->dir.fd, "pages-1.img", data, BIG_BYTES);
	file_write(kit->dir.fd, "core-1.img", data, SMALL_BYTES);
	file_write(kit->dir.fd, "empty.img", data, 0);
	free(data);
	assert_int_equal(symlinkat("/", kit->dir.fd, "parent"), 0);
	assert_int_equal(mkdirat(kit->dir.fd, "other", 0700), 0);
}

static int set_up(void **state)
{
	struct source_process *process;
	int pair[2];

	kit = calloc(1, sizeof(*kit));
	dir_make(&kit->dir);
	write_files();
	start_program();
	process = tree_add(&kit->tree, kit->child, &kit->err);
	assert_non_null(process);
	mailbox_init(&kit->box, "the destination");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	kit->source = control_new(CONN(pair[0]), COURSE_SOURCE, &kit->err);
	kit->dest = control_new(CONN(pair[1]), COURSE_DEST, &kit->err);
	kit->images = (struct images){
		.dir_fd = kit->dir.fd, .tree = &kit->tree, .shms = &kit->shms, .group = &kit->group,
		.figures = &kit->figures, .ctl = kit->source, .box = &kit->box,
	};
	return walk_to(kit->source, kit->dest, PHASE_FROZEN, &kit->err) ||
	       pthread_create(&kit->thread, NULL, take_all, NULL) ? -1 : 0;
}

/* All that was sent has come. */
static void end(void)
{
	control_close(kit->source);
	pthread_join(kit->thread, NULL);
	control_close(kit->dest);
}

static int tear_down(void **state)
{
	kill(kit->child, SIGKILL);
	waitpid(kit->child, NULL, 0);
	tree_destroy(&kit->tree);
	mailbox_destroy(&kit->box);
	for (size_t i = 0; i < kit->nr_files; i++)
		free(kit->files[i].data);
	dir_remove(&kit->dir);
	free(kit);
	return 0;
}

static void expect_file(const char *name, size_t bytes)
{
	const struct file *file = file_of(name);

	assert_non_null(file);
	assert_true(file->last);
	assert_int_equal(file->bytes, bytes);
	for (size_t i = 0; i < bytes; i++)
		if (file->data[i] != byte_at(i))
			fail_msg("byte %zu of %s differs", i, name);
}

static void all_go_out_whole(void **state)
{
	int ret = images_send(&kit->images, &kit->err);

	end();
	assert_int_equal(ret, 0);
	assert_int_equal(kit->announced, BIG_BYTES + SMALL_BYTES);
	/* neither the link nor the directory */
	assert_int_equal(kit->nr_files, 3);
	expect_file("pages-1.img", BIG_BYTES);
	expect_file("core-1.img", SMALL_BYTES);
	expect_file("empty.img", 0);
	assert_true(kit->go);
	assert_int_equal(kit->go_files, 3);
	assert_int_equal(kit->figures.frozen.part, MIGRATE__FROZEN_PART__WAIT);
}

/* What CRIU does not carry. */
static void the_program_is_told_of(void **state)
{
	int ret = images_send(&kit->images, &kit->err);

	end();
	assert_int_equal(ret, 0);
	assert_int_equal(kit->go_score, OOM_SCORE_ADJ);
	assert_int_equal(kit->go_pending, 1UL << (SIGUSR2 - 1));
}

/* Each process has inherited the first socket; the second one has another socket of its own. */
static void each_stream_begins_once(void **state)
{
	struct reconnect item = { .ino = 7, .fd = 1, .type = SOCK_STREAM, .name = JOURNAL_STDOUT };
	int ret;

	for (int i = 0; i < 3; i++) {
		struct source_process *process = i ? tree_add(&kit->tree, kit->child, &kit->err) :
						 tree_root(&kit->tree);

		assert_int_equal(reconnects_add(&process->attached.reconnects, &item, &kit->err), 0);
	}
	item.ino = 8;
	assert_int_equal(reconnects_add(&kit->tree.processes[1]->attached.reconnects, &item, &kit->err),
			 0);
	ret = images_send(&kit->images, &kit->err);
	end();
	assert_int_equal(ret, 0);
	assert_int_equal(kit->processes, 3);
	assert_int_equal(kit->streams, 2);
}

/* A restore that begins would be of a program that goes on here. */
static void a_failure_ends_it(void **state)
{
	const struct error why = { .code = CODE_ABORTED, .what = "this is a test" };
	int ret;

	mailbox_lock(&kit->box);
	mailbox_fail_locked(&kit->box, &why, false);
	mailbox_unlock(&kit->box);
	ret = images_send(&kit->images, &kit->err);
	end();
	assert_int_equal(ret, -1);
	assert_int_equal(kit->err.code, CODE_ABORTED);
	assert_false(kit->go);
}

static void a_program_that_has_gone_is_told(void **state)
{
	int ret;

	kill(kit->child, SIGKILL);
	waitpid(kit->child, NULL, 0);
	ret = images_send(&kit->images, &kit->err);
	end();
	assert_int_equal(ret, -1);
	assert_true(error_is_set(&kit->err));
	assert_false(kit->go);
}

/* What takes back the names of a failed dump is read later: remap-fpath.img, whose name has a dash too. */
static void those_of_processes_are_dropped(void **state)
{
	static const char *const names[] = { "files.img", "remap-fpath.img", "core-1.img", "pages-1.img" };

	file_write(kit->dir.fd, names[0], "", 0);
	file_write(kit->dir.fd, names[1], "", 0);
	images_drop(kit->dir.fd);
	end();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(!faccessat(kit->dir.fd, names[i], F_OK, 0), i < 2);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(all_go_out_whole), KIT_TEST(the_program_is_told_of),
		KIT_TEST(each_stream_begins_once),
		KIT_TEST(a_failure_ends_it), KIT_TEST(a_program_that_has_gone_is_told),
		KIT_TEST(those_of_processes_are_dropped),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
