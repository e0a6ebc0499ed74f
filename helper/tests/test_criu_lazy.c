// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/un.h>
#include "tests/criu_images.h"

struct fixture {
	struct test_dir work;
	struct lazy_server *srv;
	int client;
	struct error err;
	enum lazy_event event;
	pid_t pid;
	int uffd;
};

static int next(struct fixture *f)
{
	return lazy_server_next(f->srv, &f->event, &f->pid, &f->uffd, &f->err);
}

static int client_connect(struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/lazy-pages.socket", f->work.path);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	dir_make(&f->work);
	assert_int_equal(lazy_server_listen(f->work.fd, &f->srv, &f->err), 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_NOTHING);
	f->client = client_connect(f);
	assert_true(f->client >= 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_NOTHING);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	lazy_server_close(f->srv);
	if (f->client >= 0)
		close(f->client);
	dir_remove(&f->work);
	free(f);
	return 0;
}

static void send_bytes(struct fixture *f, const void *data, size_t bytes)
{
	assert_int_equal(send(f->client, data, bytes, MSG_NOSIGNAL), bytes);
}

static void send_fds(struct fixture *f, const int *fds, size_t nr)
{
	char control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
	assert_int_equal(sendmsg(f->client, &hdr, 0), 1);
}

static void test_task_and_finish(void **state)
{
	static const uint32_t finish = 0x52535446;
	struct fixture *f = *state;
	int32_t pid = 1234;
	struct stat a, b;

	send_bytes(f, &pid, 4);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_NOTHING);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_NOTHING);
	send_fds(f, &f->work.fd, 1);
	send_bytes(f, &finish, 4);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_TASK);
	assert_int_equal(f->pid, 1234);
	assert_int_equal(fstat(f->uffd, &a), 0);
	assert_int_equal(fstat(f->work.fd, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_true(fcntl(f->uffd, F_GETFD) & FD_CLOEXEC);
	close(f->uffd);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_FINISHED);
}

/* All that CRIU writes may have come before we look. */
static void test_all_at_once(void **state)
{
	static const uint32_t finish = 0x52535446;
	struct fixture *f = *state;
	int32_t pids[] = { 5, -6 };

	send_bytes(f, &pids[0], 4);
	send_fds(f, &f->work.fd, 1);
	send_bytes(f, &pids[1], 4);
	send_bytes(f, &finish, 4);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_NOTHING);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_TASK);
	assert_int_equal(f->pid, 5);
	close(f->uffd);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_TASK);
	assert_int_equal(f->pid, 6);
	assert_int_equal(f->uffd, -1);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_FINISHED);
}

static void test_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	int32_t pid = 70000;

	for (int i = 0; i < 4; i++) {
		send_bytes(f, (char *)&pid + i, 1);
		assert_int_equal(next(f), 0);
		assert_int_equal(f->event, LAZY_NOTHING);
	}
	send_fds(f, &f->work.fd, 1);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_TASK);
	assert_int_equal(f->pid, 70000);
	close(f->uffd);
}

static void test_lost(void **state)
{
	struct fixture *f = *state;

	close(f->client);
	f->client = -1;
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_LOST);
	assert_false(error_is_set(&f->err));
}

static void test_no_descriptor(void **state)
{
	struct fixture *f = *state;
	int32_t pid = 9;

	send_bytes(f, &pid, 4);
	send_bytes(f, "", 1);
	assert_int_equal(next(f), 0);
	assert_int_equal(next(f), -1);
	assert_int_equal(f->event, LAZY_LOST);
	assert_int_equal(f->err.code, CODE_CRIU);
}

/* Whatever was returned, and not recorded, is there for the next one; what was recorded, comes once. */
static void another(struct fixture *f, pid_t word)
{
	int fd = dup(lazy_server_fd(f->srv));

	lazy_server_leave(f->srv);
	assert_int_equal(lazy_server_resume(f->work.fd, fd, word, &f->srv, &f->err), 0);
}

static void test_killed(void **state)
{
	static const uint32_t finish = 0x52535446;
	struct fixture *f = *state;
	int32_t pid = 7;

	send_bytes(f, &pid, 4);
	send_fds(f, &f->work.fd, 1);
	send_bytes(f, &finish, 4);
	assert_int_equal(next(f), 0);
	assert_int_equal(lazy_server_word(f->srv), 7);
	another(f, 0);			/* not recorded */
	assert_int_equal(next(f), 0);
	assert_int_equal(lazy_server_word(f->srv), 7);
	another(f, 7);			/* recorded, not taken */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(next(f), 0);
		assert_int_equal(f->event, LAZY_TASK);
		assert_int_equal(f->pid, 7);
		assert_true(f->uffd >= 0);
		close(f->uffd);
		another(f, i ? 0 : 7);	/* the word is taken; the descriptor is not recorded, and then it is */
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(next(f), 0);
		assert_int_equal(f->event, LAZY_FINISHED);
		if (!i)
			another(f, 0);
	}
}

/* A socket that listens goes to another process, with the connections that came meanwhile. */
static void test_adopted(void **state)
{
	struct fixture *f = *state;
	int32_t pid = 7;
	int fd;

	teardown(state);
	f = calloc(1, sizeof(*f));
	*state = f;
	dir_make(&f->work);
	assert_int_equal(lazy_server_listen(f->work.fd, &f->srv, &f->err), 0);
	f->client = client_connect(f);
	send_bytes(f, &pid, 4);
	fd = dup(lazy_server_fd(f->srv));
	lazy_server_leave(f->srv);
	assert_int_equal(lazy_server_adopt(f->work.fd, fd, &f->srv, &f->err), 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(lazy_server_word(f->srv), 7);
}

/* Descriptors too many, or where none belongs, are not kept open. */
static void test_stray_descriptors(void **state)
{
	struct fixture *f = *state;
	int fds[3] = { f->work.fd, f->work.fd, f->work.fd };
	int32_t pid = 9;
	int free_fd;

	free_fd = dup(0);
	close(free_fd);
	send_bytes(f, &pid, 4);
	send_fds(f, fds, 3);
	assert_int_equal(next(f), 0);
	assert_int_equal(next(f), 0);
	assert_int_equal(f->event, LAZY_TASK);
	close(f->uffd);
	assert_int_equal(next(f), 0);
	assert_int_equal(dup(0), free_fd);
	close(free_fd);
	send_fds(f, fds, 3);
	assert_int_equal(next(f), -1);
	assert_int_equal(f->event, LAZY_LOST);
	assert_int_equal(dup(0), free_fd);
	close(free_fd);
}

static void test_garbage(void **state)
{
	static const uint32_t bad[] = { 0, 0x7fffffff, 0x80000000, (1 << 22) + 1 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (i) {
			teardown(state);
			setup(state);
			f = *state;
		}
		send_bytes(f, &bad[i], 4);
		assert_int_equal(next(f), -1);
		assert_int_equal(f->event, LAZY_LOST);
	}
}

static void test_nobody_comes_later(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(client_connect(f), -1);
}

static void test_unused(void **state)
{
	struct fixture *f = *state;
	struct lazy_server *srv;
	struct stat st;

	assert_int_equal(lazy_server_listen(f->work.fd, &srv, &f->err), 0);
	assert_int_equal(fstatat(f->work.fd, "lazy-pages.socket", &st, 0), 0);
	lazy_server_close(srv);
	assert_int_equal(fstatat(f->work.fd, "lazy-pages.socket", &st, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_task_and_finish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stray_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_comes_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
