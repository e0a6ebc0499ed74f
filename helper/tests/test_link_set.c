// SPDX-License-Identifier: GPL-2.0
/* The connections of one migration end together, and the other end hears why. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/link_set.h"

static struct link_set links;
static struct control *far_ctl;
static int far_memory, far_second, far_urgent;
static struct error err;

static int end_of_pair(struct conn *conn)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*conn = (struct conn){ .fd = fds[0] };
	return fds[1];
}

static int set_up(void **state)
{
	struct conn ctl, far;

	memset(&err, 0, sizeof(err));
	link_set_init(&links, 2);
	far.fd = end_of_pair(&ctl);
	far = (struct conn){ .fd = far.fd };
	links.ctl = control_new(&ctl, COURSE_SOURCE, &err);
	far_ctl = control_new(&far, COURSE_DEST, &err);
	far_memory = end_of_pair(&links.memory[0]);
	far_second = end_of_pair(&links.memory[1]);
	far_urgent = end_of_pair(&links.urgent);
	return links.ctl && far_ctl ? 0 : -1;
}

static int tear_down(void **state)
{
	link_set_close(&links);
	control_close(far_ctl);
	close(far_memory);
	close(far_second);
	close(far_urgent);
	return 0;
}

/* EAGAIN: it goes on; 0: it has ended */
static ssize_t heard(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT);
}

static void the_other_end_hears_why(void **state)
{
	struct error why = { .code = CODE_REFUSED, .what = "no room" };

	link_set_fail(&links, &why, false);
	assert_null(control_recv(far_ctl, 5000, &err));
	assert_non_null(strstr(err.what, "no room"));
	assert_int_equal(heard(far_memory), 0);
	assert_int_equal(heard(far_second), 0);
	assert_int_equal(heard(far_urgent), 0);
	/* a thread that waits in a frame comes back */
	assert_int_equal(heard(links.memory[0].fd), 0);
	assert_int_equal(heard(links.urgent.fd), 0);
}

static void control_goes_on_without_a_word(void **state)
{
	Migrate__Control *msg;

	link_set_fail(&links, NULL, false);
	assert_int_equal(heard(far_memory), 0);
	assert_int_equal(heard(far_second), 0);
	assert_int_equal(heard(far_urgent), 0);
	assert_int_equal(control_send_hello(links.ctl, 2, &err), 0);
	msg = control_recv(far_ctl, 5000, &err);
	assert_non_null(msg);
	assert_int_equal(msg->body_case, MIGRATE__CONTROL__BODY_HELLO);
	migrate__control__free_unpacked(msg, NULL);
}

static void closed_at_once(void **state)
{
	assert_int_equal(heard(far_memory), -1);
	link_set_close(&links);
	assert_null(links.ctl);
	assert_false(conn_is_open(&links.memory[0]) || conn_is_open(&links.memory[1]) || conn_is_open(&links.urgent));
	assert_int_equal(heard(far_memory), 0);
	assert_int_equal(heard(far_second), 0);
	assert_int_equal(heard(far_urgent), 0);
	assert_null(control_recv(far_ctl, 5000, &err));
	/* before there are any, and after them */
	link_set_close(&links);
	link_set_fail(&links, NULL, true);
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_other_end_hears_why), CASE(control_goes_on_without_a_word), CASE(closed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
