// SPDX-License-Identifier: GPL-2.0
/* The course of a restore; a thread stands in for CRIU. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/socket.h>
#include "criu/criu.h"
#include "tests/criu_fake.h"
#include "tests/criu_images.h"

struct fixture {
	struct test_dir images, work;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	dir_make(&f->images);
	dir_make(&f->work);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dir_remove(&f->images);
	dir_remove(&f->work);
	free(f);
	return 0;
}

struct restorer {
	int fd;
	bool success, hang, notify;
	bool answered;
	char *config;
};

/* Return: false when the other end has gone without an answer */
static bool restorer_notify(struct restorer *r, const char *script)
{
	CriuResp resp = CRIU_RESP__INIT;
	CriuNotify notify = CRIU_NOTIFY__INIT;
	CriuReq *req;

	notify.script = (char *)script;
	resp.type = CRIU_REQ_TYPE__NOTIFY;
	resp.success = true;
	resp.notify = &notify;
	criu_fake_send(r->fd, &resp);
	req = criu_fake_recv(r->fd);
	r->answered = req && !strcmp(script, "pre-resume");
	if (req)
		criu_req__free_unpacked(req, NULL);
	return req;
}

static void *restorer_main(void *arg)
{
	struct restorer *r = arg;
	CriuResp resp = CRIU_RESP__INIT;
	CriuRestoreResp restore = CRIU_RESTORE_RESP__INIT;
	CriuReq *req = criu_fake_recv(r->fd);

	r->config = strdup(req->opts->config_file);
	criu_req__free_unpacked(req, NULL);
	if (r->notify && !restorer_notify(r, "post-restore"))
		return NULL;
	if (r->notify && !restorer_notify(r, "pre-resume"))
		return NULL;
	resp.type = CRIU_REQ_TYPE__RESTORE;
	resp.success = r->success;
	resp.restore = &restore;
	restore.pid = 77;
	criu_fake_send(r->fd, &resp);
	if (!r->hang)
		close(r->fd);
	return NULL;
}

/* What is done at pre-resume: counts, and fails when told to. */
struct resume {
	int nr;
	bool fail;
};

static int pre_resume(void *ctx, struct error *err)
{
	struct resume *resume = ctx;

	resume->nr++;
	return resume->fail ? error_set(err, CODE_INTERNAL, NULL, "it does not freeze") : 0;
}

static int restore(struct fixture *f, struct restorer *r, struct resume *resume, int cancel_fd,
		   pid_t *root)
{
	struct criu_restore_opts opts = {
		.images_dir_fd = f->images.fd, .work_dir_fd = f->work.fd, .log_level = 2,
		.cancel_fd = cancel_fd, .pre_resume = resume ? pre_resume : NULL, .ctx = resume,
	};
	pthread_t thread;
	int pair[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	r->fd = pair[1];
	pthread_create(&thread, NULL, restorer_main, r);
	ret = criu_restore_run(pair[0], &opts, root, &f->err);
	/* as if all had died: a CRIU that waits for an answer ends */
	shutdown(pair[0], SHUT_RDWR);
	pthread_join(thread, NULL);
	if (r->hang)
		close(pair[1]);
	close(pair[0]);
	return ret;
}

static void test_restore(void **state)
{
	struct restorer r = { .success = true };
	struct fixture *f = *state;
	char want[256], got[256] = "";
	pid_t root = 0;

	assert_int_equal(restore(f, &r, NULL, -1, &root), 0);
	assert_int_equal(root, 77);
	snprintf(want, sizeof(want), "%s/criu-restore.conf", f->work.path);
	assert_string_equal(r.config, want);
	free(r.config);
	snprintf(want, sizeof(want),
		 "images-dir %s/criu-images\nwork-dir %s\n", f->work.path,
		 f->work.path);
	file_read(f->work.fd, "criu-restore.conf", got, sizeof(got) - 1);
	assert_string_equal(got, want);
	memset(got, 0, sizeof(got));
	assert_true(readlinkat(f->work.fd, "criu-images", got, sizeof(got) - 1) > 0);
	assert_string_equal(got, f->images.path);
}

static void test_restore_fails(void **state)
{
	struct restorer r = { .success = false };
	struct fixture *f = *state;
	pid_t root = 0;

	assert_int_equal(restore(f, &r, NULL, -1, &root), 1);
	assert_int_equal(f->err.code, CODE_CRIU);
	assert_non_null(strstr(f->err.hint, "restore.log"));
	free(r.config);
}

static void test_restore_never_ends(void **state)
{
	struct restorer r = { .success = true, .hang = true };
	struct fixture *f = *state;
	pid_t root = 0;

	assert_int_equal(restore(f, &r, NULL, -1, &root), -1);
	assert_int_equal(f->err.code, CODE_CRIU);
	free(r.config);
}

static void test_restore_notified(void **state)
{
	struct restorer r = { .success = true, .notify = true };
	struct resume resume = { .nr = 0 };
	struct fixture *f = *state;
	pid_t root = 0;

	assert_int_equal(restore(f, &r, &resume, -1, &root), 0);
	assert_int_equal(resume.nr, 1);
	assert_true(r.answered);
	assert_int_equal(root, 77);
	free(r.config);
}

/* An answer, whichever, would make CRIU let go of tasks that could run. */
static void test_restore_not_frozen(void **state)
{
	struct restorer r = { .success = true, .notify = true, .hang = true };
	struct resume resume = { .fail = true };
	struct fixture *f = *state;
	pid_t root = 0;

	assert_int_equal(restore(f, &r, &resume, -1, &root), -1);
	assert_int_equal(resume.nr, 1);
	assert_false(r.answered);
	assert_string_equal(f->err.what, "it does not freeze");
	free(r.config);
}

/* @resp is there already, or NULL. Return: of criu_restore_run() */
static int restore_given_up(struct fixture *f, CriuResp *resp)
{
	int pair[2], rpc[2], ret;
	struct criu_restore_opts opts = { .log_level = 2 };
	pid_t root = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, rpc), 0);
	opts.images_dir_fd = f->images.fd;
	opts.work_dir_fd = f->work.fd;
	opts.cancel_fd = pair[1];
	if (resp)
		criu_fake_send(rpc[1], resp);
	shutdown(pair[0], SHUT_RDWR);
	memset(&f->err, 0, sizeof(f->err));
	ret = criu_restore_run(rpc[0], &opts, &root, &f->err);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(rpc[i]);
	}
	return ret;
}

static void test_restore_cancelled(void **state)
{
	CriuResp resp = CRIU_RESP__INIT;
	struct fixture *f = *state;

	assert_int_equal(restore_given_up(f, NULL), -1);
	assert_int_equal(f->err.code, CODE_ABORTED);
	resp.type = CRIU_REQ_TYPE__RESTORE;
	resp.success = true;
	assert_int_equal(restore_given_up(f, &resp), -1);
	assert_int_equal(f->err.code, CODE_ABORTED);
}

/* The socket for userfaultfds, and the namespace, end with CRIU: what is noticed first is chance. */
static void test_restore_says_why_it_failed(void **state)
{
	CriuResp resp = CRIU_RESP__INIT;
	struct fixture *f = *state;

	resp.type = CRIU_REQ_TYPE__RESTORE;
	assert_int_equal(restore_given_up(f, &resp), 1);
	assert_int_equal(f->err.code, CODE_CRIU);
	assert_non_null(strstr(f->err.hint, "restore.log"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_never_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_notified, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_not_frozen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restore_says_why_it_failed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
