// SPDX-License-Identifier: GPL-2.0
/*
 * A machine freezes all tasks before it suspends. A task that waits in SEND for a peer that does
 * not read must freeze, and must send the rest after the thaw. The test uses the freezer of cgroup
 * v1 for one task, which is the same code in the kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frozen.h"
#include "ksft.h"
#include "net.h"
#include "receiver.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define PAGES		4096UL
#define LEN		(PAGES * PAGE_SIZE)
#define SEED		17UL
#define COOKIE		19
#define TRIES		500
#define TRY_US		20000
/* Seen so often in a row it waits for its peer, and for nothing else. */
#define WAITS		10

static struct target target;
static struct svm svm;
static unsigned long mapped;

/* Until it stands in SEND and nothing moves any more. */
static bool freezer_waits(pid_t pid)
{
	char path[64], line[256];
	int i, waits = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (i = 0; i < TRIES && waits < WAITS; i++) {
		sys_sleep_us(TRY_US);
		ksft_must(sys_read_line(path, line, sizeof(line)));
		waits = strstr(line, ") D ") ? waits + 1 : 0;
	}
	return waits == WAITS;
}

static pid_t freezer_sender(int sock, int other)
{
	struct splice_vm_run run = { mapped, PAGES, 0 };
	struct svm_send send = { .sock = sock, .cookie = COOKIE };
	pid_t pid = fork();

	ksft_must(pid >= 0);
	if (pid)
		return pid;
	close(other);
	_exit(svm_send_all(&svm, &send, &run, 1) != 0);
}

static void freezer_test(const struct net_kind *net)
{
	struct receiver r = { .cookie = COOKIE };
	struct mirror m;
	int pair[2], status, small = 65536;
	pid_t pid;

	/* So little room that it waits in the middle of a batch, where no signal ends the call. */
	net->pair(pair);
	ksft_must(!setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	ksft_must(!setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	pid = freezer_sender(pair[0], pair[1]);
	close(pair[0]);
	ksft_test_result(freezer_waits(pid), "%s: SEND waits\n", net->name);
	ksft_test_result(frozen_freeze(pid), "%s: it is frozen\n", net->name);
	frozen_thaw();
	mirror_init(&m);
	r.fd = pair[1];
	r.mirror = &m;
	receiver_start(&r);
	ksft_must(waitpid(pid, &status, 0) == pid);
	ksft_test_value(status, 0, "%s: and thawed sends the rest\n", net->name);
	receiver_join(&r);
	ksft_test_result(!r.broken && r.pages == PAGES &&
			 mirror_is_pattern(&m, mapped, PAGES, SEED),
			 "%s: stream: %s\n", net->name, r.broken ?: "whole");
	mirror_free(&m);
	close(pair[1]);
}

int main(void)
{
	size_t i;

	ksft_print_header();
	target_start(&target);
	mapped = target_map(&target, LEN, MADV_NOHUGEPAGE);
	target_fill(&target, mapped, LEN, SEED);
	svm_open(&svm, target.pid, false);
	frozen_mount();
	for (i = 0; i < ARRAY_SIZE(net_kinds); i++)
		freezer_test(&net_kinds[i]);
	frozen_unmount();
	svm_close(&svm);
	target_stop(&target);
	ksft_finished();
}
