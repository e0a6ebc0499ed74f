// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family: its counters match the sessions, and only the administrator gets
 * messages.
 */
#include <fcntl.h>
#include <netlink/errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "netlink_client.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define PAGES		1024UL
#define LEN		(PAGES * PAGE_SIZE)
#define MANY		300

static struct client client;

static void netlink_test_identity(void)
{
	struct seen empty, other;
	struct target t;
	struct svm s;
	int fd;

	fd = svm_open_device();
	empty = client_newest(&client);
	target_start(&t);
	svm_open(&s, t.pid, true);
	other = client_newest(&client);
	ksft_test_result(SEEN(&other, ID) > SEEN(&empty, ID),
			 "ids rise\n");
	ksft_test_value(SEEN(&empty, OPENER_PID), getpid(), "opener\n");
	ksft_test_result(SEEN_HAS(&empty, OPENER_UID) &&
			 !SEEN(&empty, OPENER_UID), "opener's user\n");
	ksft_test_result(!SEEN_HAS(&empty, PID) && !SEEN_HAS(&empty, GONE) &&
			 !SEEN_HAS(&empty, MM_PAGES) &&
			 !SEEN_HAS(&empty, MAX_INFLIGHT),
			 "not attached: no target\n");
	ksft_test_value(SEEN(&empty, TRACKER), SPLICE_VM_TRACKER_NONE,
			"no tracker\n");
	ksft_test_value(SEEN(&other, PID), t.pid, "target\n");
	ksft_test_value(SEEN(&other, TRACKER), SPLICE_VM_TRACKER_SOFT_DIRTY,
			"tracker\n");
	ksft_test_value(SEEN(&other, MAX_INFLIGHT), 65536, "cap\n");
	target_stop(&t);
	other = client_newest(&client);
	ksft_test_result(SEEN_HAS(&other, GONE), "target gone\n");
	ksft_test_value(SEEN(&other, PID), t.pid, "but not forgotten\n");
	ksft_test_result(!SEEN_HAS(&other, MM_PAGES), "without memory\n");
	svm_close(&s);
	close(fd);
}

static void netlink_test_size(void)
{
	unsigned long size = 0, resident = 0;
	struct target t;
	struct seen seen;
	char line[128];
	char path[64];
	struct svm s;
	long more;

	target_start(&t);
	target_fill(&t, target_map(&t, LEN, MADV_NOHUGEPAGE), LEN, 1);
	svm_open(&s, t.pid, false);
	seen = client_newest(&client);
	snprintf(path, sizeof(path), "/proc/%d/statm", t.pid);
	ksft_must(sys_read_line(path, line, sizeof(line)));
	ksft_must(sscanf(line, "%lu %lu", &size, &resident) == 2);
	ksft_test_value(SEEN(&seen, MM_PAGES), size, "mapped pages\n");
	/* Counted per CPU, and summed up now and then. */
	more = SEEN(&seen, MM_RESIDENT) - resident;
	ksft_test_result(resident > PAGES && labs(more) < 200,
			 "resident pages: %lu, %+ld\n", resident, more);
	svm_close(&s);
	target_stop(&t);
}

/* What the session says of itself, by ioctl, and what calls on it returned. */
static void netlink_compare(struct svm *s, const struct svm_runs *runs,
			    __u64 bytes_sent, __u64 bytes_copied)
{
	struct splice_vm_info info;
	struct seen seen = client_newest(&client);

	svm_info(s->fd, &info);
	ksft_test_value(SEEN(&seen, EPOCHS), info.epochs, "epochs\n");
	ksft_test_value(SEEN(&seen, PAGES_SENT), info.pages_sent,
			"pages sent\n");
	ksft_test_value(SEEN(&seen, PAGES_COPIED), info.pages_copied,
			"pages copied\n");
	ksft_test_value(SEEN(&seen, OVERFLOWS), info.overflows, "overflows\n");
	ksft_test_value(SEEN(&seen, BYTES_SENT), bytes_sent, "bytes sent\n");
	ksft_test_value(SEEN(&seen, BYTES_COPIED), bytes_copied,
			"bytes copied\n");
	ksft_test_value(SEEN(&seen, PAGES_DIRTY),
			svm_runs_pages(runs, SPLICE_VM_RUN_DIRTY, 0),
			"pages dirty\n");
	ksft_test_value(SEEN(&seen, PAGES_DROPPED),
			svm_runs_pages(runs, SPLICE_VM_RUN_DROPPED, 0),
			"pages dropped\n");
	ksft_test_value(SEEN(&seen, PAGES_INFLIGHT), 0, "none in flight\n");
}

static void netlink_test_numbers(void)
{
	struct splice_vm_run run = { .nr_pages = PAGES };
	struct svm_send send = {};
	struct svm_runs runs = {};
	struct net_sink sink;
	char data[3 * PAGE_SIZE];
	int pair[2], fds[2];
	struct target t;
	struct svm s;

	target_start(&t);
	run.addr = target_map(&t, LEN, MADV_NOHUGEPAGE);
	target_fill(&t, run.addr, LEN, 1);
	svm_open(&s, t.pid, true);
	svm_epoch(&s);
	target_madvise(&t, run.addr, 10 * PAGE_SIZE, MADV_DONTNEED);
	ksft_must(!svm_scan(&s, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 64, &runs));
	net_tcp_pair(pair);
	net_sink_start(&sink, pair[1], LEN + (1 << 20));
	send.sock = pair[0];
	ksft_must(!svm_send_all(&s, &send, &run, 1));
	close(pair[0]);
	net_sink_join(&sink);
	ksft_must(!pipe(fds));
	ksft_must(svm_splice(s.fd, fds[1], run.addr + 20 * PAGE_SIZE,
			     4 * PAGE_SIZE) == 4 * PAGE_SIZE);
	ksft_must(pread(s.fd, data, sizeof(data) - 8,
			run.addr + 20 * PAGE_SIZE + 4) == sizeof(data) - 8);
	ksft_test_result(svm_runs_pages(&runs, SPLICE_VM_RUN_DROPPED, 0) >= 10 &&
			 svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0) >=
			 PAGES - 10 && send.bytes == sink.len,
			 "control: there is something to count\n");
	netlink_compare(&s, &runs, send.bytes + 4 * PAGE_SIZE,
			sizeof(data) - 8);
	svm_close(&s);
	target_stop(&t);
	close(fds[0]);
	close(fds[1]);
	close(pair[1]);
	net_sink_free(&sink);
	svm_runs_free(&send.results);
	svm_runs_free(&runs);
}

struct sender {
	struct svm *svm;
	int sock;
	unsigned long addr;
};

static void *netlink_sender(void *arg)
{
	struct sender *sender = arg;

	svm_send_one(sender->svm->fd, sender->sock, sender->addr, PAGES, NULL);
	return NULL;
}

/* A batch is under way, and nobody takes what comes out of the socket. */
static void netlink_test_inflight(void)
{
	struct sender sender;
	struct seen seen = {};
	pthread_t thread;
	struct target t;
	struct svm s;
	char data[65536];
	int pair[2], i;

	target_start(&t);
	sender.addr = target_map(&t, LEN, MADV_NOHUGEPAGE);
	target_fill(&t, sender.addr, LEN, 1);
	svm_open(&s, t.pid, false);
	net_unix_pair(pair);
	sender.svm = &s;
	sender.sock = pair[0];
	ksft_must(!pthread_create(&thread, NULL, netlink_sender, &sender));
	for (i = 0; i < 100 && !SEEN(&seen, PAGES_INFLIGHT); i++) {
		sys_sleep_us(20000);
		seen = client_newest(&client);
	}
	ksft_test_result(SEEN(&seen, PAGES_INFLIGHT) > 0 &&
			 SEEN(&seen, PAGES_INFLIGHT) <= PAGES,
			 "%llu pages in flight\n", SEEN(&seen, PAGES_INFLIGHT));
	shutdown(pair[0], SHUT_RDWR);
	while (read(pair[1], data, sizeof(data)) > 0)
		;
	pthread_join(thread, NULL);
	seen = client_newest(&client);
	ksft_test_value(SEEN(&seen, PAGES_INFLIGHT), 0,
			"and none when it is over\n");
	close(pair[0]);
	close(pair[1]);
	svm_close(&s);
	target_stop(&t);
}

/* More than one part of a dump holds. */
static void netlink_test_many(void)
{
	struct seen_list before = {}, list = {};
	int fds[MANY], i;
	bool rising = true;
	size_t j;

	client_must_dump(&client, &before);
	for (i = 0; i < MANY; i++)
		fds[i] = svm_open_device();
	client_must_dump(&client, &list);
	for (j = 1; j < list.nr; j++)
		rising = rising && SEEN(&list.v[j], ID) > SEEN(&list.v[j - 1], ID);
	ksft_test_value(list.nr, before.nr + MANY, "%d sessions\n", MANY);
	ksft_test_result(rising, "each once, in order\n");
	for (i = 0; i < MANY; i++)
		close(fds[i]);
	seen_free(&list);
	client_must_dump(&client, &list);
	ksft_test_value(list.nr, before.nr, "all are closed\n");
	seen_free(&list);
	seen_free(&before);
}

struct refusal {
	uid_t uid;
	int unshare;
	int found;
	int dump;
	int join;
};

/* In a child, since rights do not come back. Return: 0 when all is as it should be */
static int netlink_refused(const struct refusal *want)
{
	struct seen_list list = {};
	struct client c;
	int ret;

	ksft_must(!unshare(want->unshare));
	if (want->uid)
		sys_become(want->uid);
	ret = client_open(&c);
	if (ret != want->found)
		return 1;
	if (ret)
		return 0;
	ret = client_dump(&c, &list);
	if (ret != want->dump || list.nr)
		return 2;
	ret = client_join(&c);
	return ret == want->join ? 0 : 3;
}

static void netlink_test_refusals(void)
{
	static const struct {
		const char *name;
		struct refusal want;
	} cases[] = {
		{ "a user", { .uid = 1000, .dump = -NLE_PERM,
			      .join = -NLE_PERM } },
		{ "root of a user namespace", { .unshare = CLONE_NEWUSER,
						.dump = -NLE_PERM,
						.join = -NLE_PERM } },
		{ "root in a network namespace", { .unshare = CLONE_NEWNET,
					.found = -NLE_OBJ_NOTFOUND } },
		{ "root of both", { .unshare = CLONE_NEWUSER | CLONE_NEWNET,
				    .found = -NLE_OBJ_NOTFOUND } },
	};
	int fd = svm_open_device(), status;
	pid_t pid;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		pid = fork();
		ksft_must(pid >= 0);
		if (!pid)
			_exit(netlink_refused(&cases[i].want));
		ksft_must(waitpid(pid, &status, 0) == pid);
		ksft_test_value(status, 0, "%s gets nothing\n", cases[i].name);
	}
	ksft_test_value(client_dump_with(&client, SPLICE_VM_A_SESSION_ID),
			-NLE_INVAL, "a request has no attributes\n");
	close(fd);
}

/* Numbers are those of the reader's PID namespace. */
static int netlink_other_ns(__u64 id, int opener)
{
	struct seen_list list = {};
	struct seen *seen;
	struct client c;
	int fd;

	ksft_must(!client_open(&c));
	ksft_must(!client_dump(&c, &list));
	seen = seen_find(&list, id);
	if (!seen || !SEEN_HAS(seen, PID) || SEEN(seen, PID) ||
	    SEEN(seen, OPENER_PID) != (__u64)opener)
		return 1;
	fd = svm_open_device();
	seen_free(&list);
	ksft_must(!client_dump(&c, &list));
	close(fd);
	return SEEN(&list.v[list.nr - 1], OPENER_PID) != (__u64)getpid();
}

static void netlink_test_pid_ns(void)
{
	struct target t;
	struct svm s;
	pid_t pid;
	int status;
	__u64 id;

	target_start(&t);
	svm_open(&s, t.pid, false);
	id = client_newest_id(&client);
	pid = fork();
	ksft_must(pid >= 0);
	if (!pid) {
		ksft_must(!unshare(CLONE_NEWPID));
		pid = fork();
		ksft_must(pid >= 0);
		if (!pid)
			_exit(netlink_other_ns(id, 0));
		ksft_must(waitpid(pid, &status, 0) == pid);
		_exit(WEXITSTATUS(status));
	}
	ksft_must(waitpid(pid, &status, 0) == pid);
	ksft_test_value(status, 0, "another PID namespace has its own numbers\n");
	svm_close(&s);
	target_stop(&t);
}

int main(void)
{
	ksft_print_header();
	if (client_open(&client))
		ksft_exit_fail_msg("no family " SPLICE_VM_FAMILY_NAME "\n");
	netlink_test_identity();
	netlink_test_size();
	netlink_test_numbers();
	netlink_test_inflight();
	netlink_test_many();
	netlink_test_refusals();
	netlink_test_pid_ns();
	client_close(&client);
	ksft_finished();
}
