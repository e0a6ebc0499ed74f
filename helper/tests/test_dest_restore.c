// SPDX-License-Identifier: GPL-2.0
/*
 * RESTORE at the destination: what stands in its way, the source is told by its reason, and never Ready.
 * A thread stands in for CRIU.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include "dest/restore.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/criu_fake.h"
#include "tests/criu_images.h"
#include "tests/mm_hooks.h"

#define LATER_MS	30000

/**
 * enum act - of CRIU
 * @ACT_HANGS: says nothing until its socket hangs up
 * @ACT_SAYS: that it has restored, and ends
 */
enum act { ACT_FAILS, ACT_HANGS, ACT_SAYS };

/** struct kit - @asked: CRIU has got its request */
struct kit {
	struct test_dir images_dir, work_dir;
	struct peer peer;
	struct objects objects;
	struct program program;
	struct populate populate;
	struct images images;
	struct mounts mounts;
	struct namespaces namespaces;
	struct restore restore;
	struct control *source;
	enum act act;
	int criu_fd;
	bool asked;
	pthread_t criu;
	struct error err;
};

static struct kit *kit;

static void cancel(void *ctx)
{
	restore_cancel(&kit->restore);
}

static void nothing(void *ctx)
{
}

static void populate_failed(void *ctx, const struct error *err)
{
}

static void *criu_body(void *arg)
{
	CriuRestoreResp restored = CRIU_RESTORE_RESP__INIT;
	CriuResp resp = CRIU_RESP__INIT;
	CriuReq *req = criu_fake_recv(kit->criu_fd);
	char byte;

	if (req) {
		criu_req__free_unpacked(req, NULL);
		mailbox_set(&kit->peer.box, &kit->asked);
		resp.type = CRIU_REQ_TYPE__RESTORE;
		resp.success = kit->act == ACT_SAYS;
		restored.pid = TEST_PID;
		resp.restore = &restored;
		if (kit->act != ACT_HANGS)
			criu_fake_send(kit->criu_fd, &resp);
		else if (read(kit->criu_fd, &byte, 1) > 0)
			_exit(1);
	}
	close(kit->criu_fd);
	return NULL;
}

/* A program with one mapping and no pages. */
static void write_images(int dir_fd)
{
	const struct test_vma vma = {
		.start = 0x100000, .end = 0x110000, .flags = FLAGS_ANON, .status = STATUS_REGULAR,
	};
	struct error err = { 0 };
	struct image_out map, files;
	char name[32];

	pstree_write(dir_fd, (uint32_t []){ TEST_PID }, 1);
	core_write(dir_fd, TEST_PID, 1, 0);
	mm_write(dir_fd, &vma, 1);
	ids_write(dir_fd, "inventory.img", 1, 2);
	snprintf(name, sizeof(name), "ids-%d.img", TEST_PID);
	ids_write(dir_fd, name, 1, 2);
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, 1);
	snprintf(name, sizeof(name), "pagemap-%d.img", TEST_PID);
	assert_int_equal(image_out_store(&map, dir_fd, name, &err), 0);
	image_out_free(&map);
	image_out_init(&files, IMAGE_FILES);
	assert_int_equal(image_out_store(&files, dir_fd, "files.img", &err), 0);
	image_out_free(&files);
	file_write(dir_fd, "pages-1.img", "", 0);
}

static void add_mm(void)
{
	Migrate__Process said = MIGRATE__PROCESS__INIT, *list[] = { &said };
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	uint64_t have, lack;

	said.pid = kit->program.root;
	go.processes = list;
	go.n_processes = 1;
	assert_int_equal(program_take(&kit->program, &go, 8, &kit->err), 0);
	assert_non_null(objects_add_mm(&kit->objects, 1, kit->program.root, &kit->err));
	objects_final(&kit->objects, &have, &lack);
}

static void connect_source(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	kit->source = control_new(CONN(fd[0]), COURSE_SOURCE, &kit->err);
	assert_int_equal(peer_open(&kit->peer, CONN(fd[1]), &kit->err), 0);
	assert_int_equal(walk_to(kit->source, kit->peer.ctl, PHASE_RESTORE, &kit->err), 0);
}

static void wire(void)
{
	kit->images.images_fd = kit->images_dir.fd;
	kit->images.work_fd = kit->work_dir.fd;
	kit->restore = (struct restore){
		.mounts = &kit->mounts, .namespaces = &kit->namespaces,
		.peer = &kit->peer, .objects = &kit->objects, .images = &kit->images,
		.program = &kit->program, .populate = &kit->populate, .cancel = -1, .comm = "test",
	};
}

static int set_up(void **state)
{
	const struct peer_hooks hooks = { .cancel = cancel, .failed = nothing };
	int pair[2];

	kit = calloc(1, sizeof(*kit));
	dir_make(&kit->images_dir);
	dir_make(&kit->work_dir);
	write_images(kit->images_dir.fd);
	program_init(&kit->program, "test-restore");
	kit->program.group.kind = CGROUP_NONE;
	kit->program.root = TEST_PID;
	peer_init(&kit->peer, &hooks);
	objects_init(&kit->objects, &no_mm_hooks, NULL, NULL);
	populate_init(&kit->populate, &kit->objects,
		      &(struct populate_hooks){ .failed = populate_failed });
	connect_source();
	wire();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	kit->restore.rpc_fd = pair[0];
	kit->criu_fd = pair[1];
	return 0;
}

static int tear_down(void **state)
{
	control_close(kit->source);
	control_close(kit->peer.ctl);
	populate_destroy(&kit->populate);
	objects_destroy(&kit->objects);
	program_destroy(&kit->program);
	mailbox_destroy(&kit->peer.box);
	dir_remove(&kit->images_dir);
	dir_remove(&kit->work_dir);
	free(kit);
	return 0;
}

/* Return: the code of the failure; the source was not told Ready */
static enum exit_code run(enum act act)
{
	int ret;

	add_mm();
	kit->act = act;
	assert_int_equal(pthread_create(&kit->criu, NULL, criu_body, NULL), 0);
	ret = restore_run(&kit->restore, &kit->err);
	/* it was not reached: as if the keeper had ended CRIU */
	if (kit->restore.rpc_fd >= 0)
		close(kit->restore.rpc_fd);
	pthread_join(kit->criu, NULL);
	assert_int_equal(ret, -1);
	assert_int_equal(control_phase(kit->peer.ctl), PHASE_RESTORE);
	/* a failure from here on must not shut down a descriptor that is another's by now */
	assert_int_equal(kit->restore.cancel, -1);
	return kit->err.code;
}

static void images_of_another_task(void **state)
{
	kit->program.root = TEST_PID + 1;
	assert_int_equal(run(ACT_SAYS), CODE_PEER);
	assert_false(kit->asked);
}

static void images_that_are_not_whole(void **state)
{
	unlinkat(kit->images_dir.fd, "pstree.img", 0);
	run(ACT_SAYS);
	assert_false(kit->asked);
}

static void criu_fails(void **state)
{
	assert_int_equal(run(ACT_FAILS), CODE_CRIU);
	assert_true(kit->asked);
}

/* That CRIU fails is the consequence then. */
static void the_first_failure_is_the_reason(void **state)
{
	const struct error why = { .code = CODE_TARGET, .what = "this is a test" };

	peer_fail(&kit->peer, &why);
	assert_int_equal(run(ACT_FAILS), CODE_TARGET);
	assert_string_equal(kit->err.what, why.what);
	assert_false(kit->asked);
}

static void *fail_when_asked(void *arg)
{
	const struct error why = { .code = CODE_ABORTED, .what = "this is a test" };
	struct error err = { 0 };

	mailbox_wait(&kit->peer.box, &kit->asked, LATER_MS, &err);
	peer_fail(&kit->peer, &why);
	return NULL;
}

/* Its socket stays open meanwhile: a hang-up would let the tasks go. */
static void a_failure_ends_a_restore_that_runs(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, fail_when_asked, NULL), 0);
	assert_int_equal(run(ACT_HANGS), CODE_ABORTED);
	pthread_join(thread, NULL);
	assert_string_equal(kit->err.what, "this is a test");
	assert_true(kit->asked);
}

/* CRIU has said that all is well, and no task stands there. */
static void tasks_that_are_not_there(void **state)
{
	kit->restore.restored = true;
	assert_int_equal(run(ACT_SAYS), CODE_CRIU);
	assert_true(kit->asked);
	assert_non_null(strstr(kit->err.what, "is not there"));
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(images_of_another_task), KIT_TEST(images_that_are_not_whole),
		KIT_TEST(criu_fails), KIT_TEST(the_first_failure_is_the_reason),
		KIT_TEST(a_failure_ends_a_restore_that_runs), KIT_TEST(tasks_that_are_not_there),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
