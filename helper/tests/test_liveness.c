// SPDX-License-Identifier: GPL-2.0
/* A link with a slow peer stays; a link with a silent machine is lost. Needs root. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "wire/conn.h"
#include "wire/control.h"

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS	44	/* since Linux 6.15 */
#endif

/* Not a loopback address, though on loopback: as another machine's. */
#define HERE		"10.9.8.7"
#define LOST_MS		400
#define SLOW_MS		3000
#define BIG_BYTES	(6u << 20)	/* more than both ends' buffers hold */

/* @ctl: the end that is tested; @raw: the other one */
struct ends {
	struct control *ctl;
	int raw;
	pthread_t sender;
	struct error err;
	int sent;
};

static void set_link(bool up)
{
	struct ifreq req = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &req), 0);
	req.ifr_flags = up ? req.ifr_flags | IFF_UP : req.ifr_flags & ~IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &req), 0);
	close(fd);
}

static int own_network(void **state)
{
	struct ifreq req = { .ifr_name = "lo:1" };
	struct sockaddr_in *addr = (void *)&req.ifr_addr;
	int fd;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	set_link(true);
	addr->sin_family = AF_INET;
	inet_pton(AF_INET, HERE, &addr->sin_addr);
	return ioctl(fd, SIOCSIFADDR, &req) | close(fd);
}

/* To where a source sends images; then nobody reads at the other end. */
static void walk(struct ends *ends)
{
	struct error err = { 0 };
	struct control *dest = control_new(CONN(dup(ends->raw)), COURSE_DEST, &err);

	assert_non_null(dest);
	assert_int_equal(walk_to(ends->ctl, dest, PHASE_FROZEN, &err), 0);
	control_close(dest);
}

/* Return: one end; *@other: the other one */
static int connect_pair(int *other)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	set_link(true);
	inet_pton(AF_INET, HERE, &addr.sin_addr);
	assert_int_equal(bind(listener, (void *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&addr, &len), 0);
	assert_int_equal(connect(fd, (void *)&addr, len), 0);
	*other = accept(listener, NULL, NULL);
	assert_true(*other >= 0);
	close(listener);
	return fd;
}

static int connect_both(void **state)
{
	struct ends *ends = calloc(1, sizeof(*ends));
	struct error err = { 0 };
	int fd = connect_pair(&ends->raw);

	ends->ctl = control_new(CONN(fd), COURSE_SOURCE, &err);
	assert_non_null(ends->ctl);
	walk(ends);
	control_set_lost(ends->ctl, LOST_MS);
	*state = ends;
	return 0;
}

static int close_both(void **state)
{
	struct ends *ends = *state;

	set_link(true);
	control_close(ends->ctl);
	close(ends->raw);
	free(ends);
	return 0;
}

static void *send_big(void *arg)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__ImageFile file = MIGRATE__IMAGE_FILE__INIT;
	struct ends *ends = arg;

	file.name = "core-1.img";
	file.data.len = BIG_BYTES;
	file.data.data = calloc(1, BIG_BYTES);
	msg.body_case = MIGRATE__CONTROL__BODY_IMAGE_FILE;
	msg.image_file = &file;
	ends->sent = control_send(ends->ctl, &msg, &ends->err);
	free(file.data.data);
	return NULL;
}

static void begin_to_send(struct ends *ends)
{
	assert_int_equal(pthread_create(&ends->sender, NULL, send_big, ends), 0);
}

static bool has_ended(struct ends *ends, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	return !pthread_timedjoin_np(ends->sender, NULL, &until);
}

static void *drain(void *arg)
{
	struct ends *ends = arg;
	char buf[1 << 16];

	while (recv(ends->raw, buf, sizeof(buf), 0) > 0)
		;
	return NULL;
}

static int64_t clock_set_ms;

/* As if the machine's clock was set between two looks at it: each time-out by it is over, or far away. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int ret = syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_REALTIME)
		now->tv_sec += clock_set_ms / 1000;
	return ret;
}

static void *abort_it(void *arg)
{
	struct error why = { .code = CODE_ABORTED, .what = "this is a test" };
	struct ends *ends = arg;

	control_send_abort(ends->ctl, &why, false);
	return NULL;
}

/* Return: whether the Abort came behind a message that the peer reads late */
static bool abort_comes(struct ends *ends)
{
	static const char text[] = "this is a test";
	char *all = malloc(2 * BIG_BYTES);
	pthread_t aborts;
	size_t nr = 0;
	ssize_t n;
	bool came;
	int64_t until_ms = clock_now_ms() + 60000;

	begin_to_send(ends);
	usleep(100000);
	assert_int_equal(pthread_create(&aborts, NULL, abort_it, ends), 0);
	usleep(100000);
	do {
		n = recv(ends->raw, all + nr, 2 * BIG_BYTES - nr, 0);
		nr += n > 0 ? n : 0;
		came = nr > 256 && memmem(all + nr - 256, 256, text, strlen(text));
	/* heartbeats follow in any case */
	} while (n > 0 && !came && (n > 256 || clock_now_ms() < until_ms));
	pthread_join(aborts, NULL);
	pthread_join(ends->sender, NULL);
	free(all);
	return came;
}

static void an_abort_waits_whatever_the_clock_says(void **state)
{
	struct ends *ends = *state;

	bool came;

	clock_set_ms = -3600000;
	came = abort_comes(ends);
	clock_set_ms = 0;
	assert_true(came);
	assert_int_equal(ends->sent, 0);
}

/* Its window is closed for many times the time-out; its kernel answers. */
static void a_slow_reader_is_waited_for(void **state)
{
	struct ends *ends = *state;
	pthread_t reader;

	begin_to_send(ends);
	assert_false(has_ended(ends, SLOW_MS));
	assert_int_equal(pthread_create(&reader, NULL, drain, ends), 0);
	assert_true(has_ended(ends, 60000));
	assert_int_equal(ends->sent, 0);
	shutdown(ends->raw, SHUT_RDWR);
	pthread_join(reader, NULL);
}

/* The other program says nothing at all, and its kernel answers. */
static void a_silent_program_is_waited_for(void **state)
{
	struct ends *ends = *state;
	struct pollfd pfd = { .fd = control_link_fd(ends->ctl), .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, SLOW_MS), 0);
}

/* But not by who wants an answer in a certain time. */
static void an_answer_is_not_waited_for_longer(void **state)
{
	struct ends *ends = *state;
	struct error err = { 0 };

	assert_null(control_recv(ends->ctl, 500, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	assert_null(strstr(err.what, "acknowledged"));
}

static void lost(struct ends *ends)
{
	struct error err = { 0 };

	assert_null(control_recv(ends->ctl, -1, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	assert_non_null(strstr(err.what, "acknowledged nothing"));
}

static void a_cut_is_noticed(void **state)
{
	set_link(false);
	lost(*state);
}

/* While nothing is under way: the window is closed. */
static void a_cut_to_a_slow_reader_is_noticed(void **state)
{
	struct ends *ends = *state;

	begin_to_send(ends);
	assert_false(has_ended(ends, SLOW_MS));
	set_link(false);
	lost(ends);
	assert_true(has_ended(ends, 60000));
	assert_int_equal(ends->sent, -1);
}

#define CUT_MS		3500	/* the kernel sends again after 3.0 s, and then after 6.2 s */

/* Return: whether a message that is sent meanwhile is there @ms after the end of a cut */
static bool comes_after_a_cut(struct ends *ends, int ms)
{
	pthread_t reader;
	bool came;

	control_set_lost(ends->ctl, 0);
	set_link(false);
	begin_to_send(ends);
	assert_int_equal(pthread_create(&reader, NULL, drain, ends), 0);
	usleep(CUT_MS * 1000);
	set_link(true);
	came = has_ended(ends, ms);
	if (!came)
		assert_true(has_ended(ends, 60000));
	shutdown(ends->raw, SHUT_RDWR);
	pthread_join(reader, NULL);
	return came && !ends->sent;
}

/* Long before the kernel sends again by itself a probe says that the link is back. */
static void a_link_that_is_back_is_not_lost(void **state)
{
	struct ends *ends = *state;
	int fd = control_link_fd(ends->ctl), one = 1;
	socklen_t len = sizeof(one);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	assert_true(comes_after_a_cut(ends, 30000));
	/* or nobody could listen on this port until the connection has gone */
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, &len), 0);
	assert_int_equal(one, 1);
}

static void data_go_on_soon_after_a_cut(void **state)
{
	struct ends *ends = *state;
	socklen_t len = sizeof(int);
	int most;

	if (getsockopt(control_link_fd(ends->ctl), IPPROTO_TCP, TCP_RTO_MAX_MS, &most, &len))
		skip();
	conn_tune_watched(control_link_fd(ends->ctl));
	assert_true(comes_after_a_cut(ends, 2000));
}

/* The urgent connection, say, while rounds go over another one. */
static void an_idle_connection_outlives_a_cut(void **state)
{
	int fd, other, error;
	socklen_t len = sizeof(error);

	fd = connect_pair(&other);
	conn_tune_watched(fd);
	usleep(1000000);
	set_link(false);
	usleep(4500000);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	set_link(true);
	close(fd);
	close(other);
}

/* The migration is being given up, and somebody waits for a peer that reads nothing. */
static void who_hurries_comes_back(void **state)
{
	struct ends *ends = *state;

	control_set_lost(ends->ctl, 0);
	begin_to_send(ends);
	assert_false(has_ended(ends, 1000));
	control_hurry(ends->ctl);
	assert_true(has_ended(ends, 60000));
	assert_int_equal(ends->sent, -1);
}

#define ANSWERS_MS	1200

static int connect_impatient(void **state)
{
	int ret;

	setenv("MIGRATE_HELPER_ANSWERS_MS", "1200", true);
	ret = connect_both(state);
	unsetenv("MIGRATE_HELPER_ANSWERS_MS");
	return ret;
}

/* Of read_control(); the sender has one of its own. */
static struct error heard;

static void *read_control(void *arg)
{
	struct ends *ends = arg;

	return control_recv(ends->ctl, -1, &heard);
}

static void unanswered(const struct error *err)
{
	print_message("%s\n", err->what);
	assert_int_equal(err->code, CODE_NETWORK);
	assert_non_null(strstr(err->what, "nothing came from the other program for 1200 ms"));
}

/* As somebody on the path does, who lets nothing through and acknowledges all. */
static void acknowledgements_are_no_answers(void **state)
{
	struct ends *ends = *state;
	struct error err = { 0 };
	pthread_t reader;

	assert_int_equal(pthread_create(&reader, NULL, drain, ends), 0);
	assert_null(control_recv(ends->ctl, -1, &err));
	unanswered(&err);
	shutdown(ends->raw, SHUT_RDWR);
	pthread_join(reader, NULL);
}

/* It reads nothing of a large message, and its heartbeats come; when they end the link does. */
static void a_slow_program_that_beats_is_waited_for(void **state)
{
	static const uint8_t beat[] = { 3, 0, 0, 0, 0x9a, 1, 0 };
	struct ends *ends = *state;
	struct timespec soon;
	pthread_t reader;

	begin_to_send(ends);
	assert_int_equal(pthread_create(&reader, NULL, read_control, ends), 0);
	/* byte by byte: each is an answer, as is each part of a large message on a slow link */
	for (unsigned int i = 0; i < 5 * ANSWERS_MS / 200; i++) {
		assert_int_equal(send(ends->raw, &beat[i % sizeof(beat)], 1, MSG_NOSIGNAL), 1);
		usleep(200000);
	}
	clock_gettime(CLOCK_REALTIME, &soon);
	assert_int_equal(pthread_timedjoin_np(reader, NULL, &soon), ETIMEDOUT);
	pthread_join(reader, NULL);
	unanswered(&heard);
	assert_true(has_ended(ends, 60000));
	assert_int_equal(ends->sent, -1);
}

/* This end is the slow one: what the other one says may lie in the socket. */
static void who_does_not_read_does_not_judge(void **state)
{
	struct ends *ends = *state;
	struct pollfd pfd = { .fd = control_link_fd(ends->ctl), .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, SLOW_MS), 0);
}

#define IMPATIENT_TEST(test) cmocka_unit_test_setup_teardown(test, connect_impatient, close_both)
#define LINK_TEST(test) cmocka_unit_test_setup_teardown(test, connect_both, close_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(a_slow_reader_is_waited_for), LINK_TEST(an_abort_waits_whatever_the_clock_says), LINK_TEST(a_silent_program_is_waited_for),
		LINK_TEST(an_answer_is_not_waited_for_longer), LINK_TEST(a_cut_is_noticed), LINK_TEST(a_cut_to_a_slow_reader_is_noticed),
		LINK_TEST(a_link_that_is_back_is_not_lost), LINK_TEST(data_go_on_soon_after_a_cut),
		cmocka_unit_test(an_idle_connection_outlives_a_cut),
		LINK_TEST(who_hurries_comes_back),
		IMPATIENT_TEST(acknowledgements_are_no_answers), IMPATIENT_TEST(a_slow_program_that_beats_is_waited_for),
		IMPATIENT_TEST(who_does_not_read_does_not_judge),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
