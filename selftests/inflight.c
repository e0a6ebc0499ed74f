// SPDX-License-Identifier: GPL-2.0
/*
 * The pages that SEND leaves at sockets are bounded, for each session and for each user: at a
 * limit SEND waits, and goes on when a reader has made room. Pages of a closed session still count.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define LIMIT_FILE	"/sys/module/splice_vm/parameters/max_inflight_per_user"
#define LIMIT		4096
#define PAGES		8192U
#define LEN		(PAGES * PAGE_SIZE)
#define USER		1000
#define THP_PAGES	(PMD_SIZE / PAGE_SIZE)

static struct target target;
static unsigned long small, huge;

/* A socket with room for everything, so that only our limits are in the way. */
static void inflight_pair(int pair[2], bool nonblocking)
{
	int bytes = 128 << 20;

	net_unix_pair(pair);
	ksft_must(!setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &bytes,
			      sizeof(bytes)));
	if (nonblocking)
		ksft_must(!fcntl(pair[0], F_SETFL, O_NONBLOCK));
}

static void inflight_close(int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

static unsigned long inflight_session(const struct svm *s)
{
	struct splice_vm_info info;

	svm_info(s->fd, &info);
	return info.pages_queued;
}

static unsigned long inflight_user(const struct svm *s)
{
	struct splice_vm_info info;

	svm_info(s->fd, &info);
	return info.user_pages_queued;
}

/* Takes what is there by now. */
static void inflight_drain(int fd)
{
	static char buf[1 << 20];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/* Until the user has @pages at most, or for long enough. Return: how many he has */
static unsigned long inflight_wait(const struct svm *s, unsigned long pages)
{
	int i;

	for (i = 0; i < 500 && inflight_user(s) > pages; i++)
		sys_sleep_us(10000);
	return inflight_user(s);
}

/* One SEND of all that is small. Return: pages or -errno */
static long inflight_send(const struct svm *s, int sock)
{
	struct splice_vm_run run = { small, PAGES, 0 }, results[8];
	struct splice_vm_send arg = {
		.size = sizeof(arg),
		.sock_fd = sock,
		.nr_runs = 1,
		.runs = (unsigned long)&run,
		.results = (unsigned long)results,
		.nr_results = ARRAY_SIZE(results),
	};

	return svm_ioctl(s->fd, SPLICE_VM_SEND, &arg) ?: (long)arg.pages_sent;
}

static void inflight_test_session(void)
{
	struct svm s = { .refs_fd = -1 };
	int mem_fd = sys_proc_open(target.pid, "mem", O_RDONLY), pair[2];
	long done;

	s.fd = svm_open_device();
	ksft_must(!svm_attach(s.fd, mem_fd, 1024));
	close(mem_fd);
	inflight_pair(pair, true);
	done = inflight_send(&s, pair[0]);
	ksft_test_result(done > 0 && done <= 1024,
			 "session: SEND ends at the cap: %ld pages\n", done);
	ksft_test_value(inflight_session(&s), done, "INFO counts them\n");
	ksft_test_value(inflight_send(&s, pair[0]), -EAGAIN,
			"and the next one says EAGAIN\n");
	inflight_drain(pair[1]);
	ksft_test_value(inflight_session(&s), 0, "nothing after they were read\n");
	ksft_test_result(inflight_send(&s, pair[0]) > 0,
			 "and SEND goes on\n");
	inflight_close(pair);
	svm_close(&s);
}

/* A second session and socket of the user: what the first left counts. */
static void inflight_test_user(struct svm *first, struct svm *second)
{
	int one[2], two[2], dead[2];
	long done;

	inflight_pair(one, true);
	inflight_pair(two, true);
	done = inflight_send(first, one[0]);
	ksft_test_result(done > 0 && done <= LIMIT,
			 "user: SEND ends at the limit: %ld pages\n", done);
	ksft_test_value(inflight_user(second), done,
			"his other session sees them\n");
	ksft_test_value(inflight_send(second, two[0]), -EAGAIN,
			"which says EAGAIN\n");
	inflight_pair(dead, false);
	close(dead[1]);
	ksft_test_value(inflight_send(second, dead[0]), -EPIPE,
			"a dead socket is reported, not waited for\n");
	close(dead[0]);
	inflight_drain(one[1]);
	ksft_test_value(inflight_wait(second, 0), 0,
			"nothing after they were read\n");
	ksft_test_result(inflight_send(second, two[0]) > 0,
			 "and the other goes on\n");
	inflight_close(one);
	inflight_close(two);
	ksft_test_value(inflight_wait(second, 0), 0,
			"nothing after the sockets were closed\n");
}

struct inflight_sender {
	struct svm *svm;
	int sock;
	long ret;
	bool done;
};

static void *inflight_sender_fn(void *arg)
{
	struct inflight_sender *sender = arg;

	sender->ret = inflight_send(sender->svm, sender->sock);
	WRITE_ONCE(sender->done, true);
	return NULL;
}

/* Back-pressure: a blocking SEND waits, can be killed, and goes on when there is room. */
static void inflight_test_waits(struct svm *first, struct svm *second)
{
	struct inflight_sender sender = { .svm = second };
	int one[2], two[2], status;
	pthread_t thread;
	pid_t child;

	inflight_pair(one, true);
	inflight_pair(two, false);
	ksft_must(inflight_send(first, one[0]) > 0);
	child = fork();
	ksft_must(child >= 0);
	if (!child)
		_exit(inflight_send(second, two[0]) < 0);
	sys_sleep_us(300000);
	ksft_test_value(waitpid(child, &status, WNOHANG), 0,
			"a blocking SEND waits at the limit\n");
	kill(child, SIGKILL);
	ksft_test_value(waitpid(child, &status, 0), child, "can be killed\n");

	sender.sock = two[0];
	ksft_must(!pthread_create(&thread, NULL, inflight_sender_fn, &sender));
	sys_sleep_us(300000);
	ksft_test_result(!READ_ONCE(sender.done), "another one waits\n");
	/* It is more than the limit: only a reader of its own lets it come to its end. */
	while (!READ_ONCE(sender.done)) {
		inflight_drain(one[1]);
		inflight_drain(two[1]);
		sys_sleep_us(1000);
	}
	pthread_join(thread, NULL);
	ksft_test_value(sender.ret, PAGES, "and does all when there is room\n");
	inflight_close(one);
	inflight_close(two);
}

static void inflight_test_closed(struct svm *watch)
{
	struct svm s;
	int pair[2];
	long done;

	inflight_pair(pair, true);
	svm_open(&s, target.pid, false);
	done = inflight_send(&s, pair[0]);
	ksft_must(done > 0);
	svm_close(&s);
	sys_sleep_us(1500000);
	ksft_test_value(inflight_user(watch), done,
			"a closed session's pages count, while they are there\n");
	close(pair[0]);
	ksft_test_value(inflight_user(watch), done,
			"and when the writing end is closed\n");
	close(pair[1]);
	ksft_test_value(inflight_wait(watch, 0), 0,
			"nothing when nobody can read them any more\n");
}

static void inflight_test_folios(struct svm *s)
{
	int pair[2];

	inflight_pair(pair, true);
	ksft_test_result(sys_is_thp(target.pid, huge), "there is a huge page\n");
	ksft_must(svm_send_one(s->fd, pair[0], huge, 1, NULL) == 1);
	ksft_test_value(inflight_session(s), THP_PAGES,
			"a page of a huge page counts as all of it\n");
	inflight_close(pair);
	ksft_test_value(inflight_wait(s, 0), 0, "and nothing is left\n");
}

/* What the far end acknowledged is no longer ours. */
static void inflight_test_tcp(struct svm *s)
{
	struct net_sink sink;
	int pair[2];

	net_tcp_pair(pair);
	net_sink_start(&sink, pair[1], LEN + (1 << 20));
	ksft_test_value(inflight_send(s, pair[0]), PAGES,
			"TCP: more than the limit goes through\n");
	ksft_test_value(inflight_wait(s, 0), 0, "TCP: nothing is left\n");
	close(pair[0]);
	net_sink_join(&sink);
	net_sink_free(&sink);
	close(pair[1]);
}

/* Return: what SEND says to @USER, who was handed a right by us */
static long inflight_as_user(int sock, int mem_fd)
{
	struct svm s = { .refs_fd = -1 };

	sys_become(USER);
	s.fd = svm_open_device();
	ksft_must(!svm_attach(s.fd, mem_fd, 0));
	return inflight_send(&s, sock);
}

static void inflight_test_others(struct svm *first, struct svm *second)
{
	int one[2], two[2], mem_fd, status;
	struct stat was;
	pid_t child;

	inflight_pair(one, true);
	inflight_pair(two, true);
	ksft_must(inflight_send(first, one[0]) > 0);
	ksft_must(inflight_send(second, two[0]) == -EAGAIN);
	ksft_must(!stat(SPLICE_VM_DEVICE, &was) && !chmod(SPLICE_VM_DEVICE, 0666));
	mem_fd = sys_proc_open(target.pid, "mem", O_RDONLY);
	child = fork();
	ksft_must(child >= 0 && mem_fd >= 0);
	if (!child)
		_exit(inflight_as_user(two[0], mem_fd) <= 0);
	close(mem_fd);
	waitpid(child, &status, 0);
	ksft_must(!chmod(SPLICE_VM_DEVICE, was.st_mode & 07777));
	ksft_test_value(status, 0, "another user has a limit of his own\n");
	inflight_close(one);
	inflight_close(two);
	ksft_test_value(inflight_wait(first, 0), 0, "nothing is left\n");
}

static void inflight_limit(unsigned long pages)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", pages);
	ksft_must(!sys_write_file(LIMIT_FILE, text));
}

int main(void)
{
	struct svm first, second;
	struct splice_vm_info info;

	ksft_print_header();
	target_start(&target);
	small = target_map(&target, LEN, MADV_NOHUGEPAGE);
	target_fill(&target, small, LEN, 1);
	huge = target_map(&target, PMD_SIZE, MADV_HUGEPAGE);
	target_fill(&target, huge, PMD_SIZE, 1);
	svm_open(&first, target.pid, false);
	svm_info(first.fd, &info);
	ksft_test_result(info.user_max_inflight_pages > 0,
			 "by default the limit is %llu pages\n",
			 info.user_max_inflight_pages);
	inflight_test_session();

	inflight_limit(LIMIT);
	svm_open(&second, target.pid, false);
	svm_info(second.fd, &info);
	ksft_test_value(info.user_max_inflight_pages, LIMIT, "now it is another\n");
	inflight_test_user(&first, &second);
	inflight_test_waits(&first, &second);
	inflight_test_closed(&first);
	inflight_test_folios(&first);
	inflight_test_tcp(&first);
	inflight_test_others(&first, &second);
	inflight_limit(0);
	svm_close(&second);
	svm_close(&first);
	target_stop(&target);
	ksft_finished();
}
