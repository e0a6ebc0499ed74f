// SPDX-License-Identifier: GPL-2.0
/*
 * "By reference": the peer gets the content that the task writes after SEND has returned and
 * before the peer reads. The control is a copy, which does not show such a write.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define PAGES	8
#define BEFORE	1UL
#define AFTER	2UL
#define LEN	(PAGES * PAGE_SIZE)

/* How bytes get into the socket. Return: bytes in front of the pages, or -1 */
typedef int (*zerocopy_way)(struct svm *s, int sock, unsigned long addr);

static int zerocopy_send(struct svm *s, int sock, unsigned long addr)
{
	__u32 flags;

	if (svm_send_one(s->fd, sock, addr, PAGES, &flags) != PAGES ||
	    flags != SPLICE_VM_RUN_SENT)
		return -1;
	return sizeof(struct splice_vm_batch) + sizeof(struct splice_vm_run);
}

static int zerocopy_sendfile(struct svm *s, int sock, unsigned long addr)
{
	off_t pos = addr;

	return sendfile(sock, s->fd, &pos, LEN) == LEN ? 0 : -1;
}

static int zerocopy_splice(struct svm *s, int sock, unsigned long addr)
{
	int pipe_fds[2], ret = -1;

	ksft_must(!pipe(pipe_fds));
	if (svm_splice(s->fd, pipe_fds[1], addr, LEN) == LEN &&
	    splice(pipe_fds[0], NULL, sock, NULL, LEN, 0) == LEN)
		ret = 0;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return ret;
}

static int zerocopy_pread(struct svm *s, int sock, unsigned long addr)
{
	char data[LEN];

	if (pread(s->fd, data, LEN, addr) != LEN)
		return -1;
	return send(sock, data, LEN, 0) == LEN ? 0 : -1;
}

static const struct {
	const char *name;
	zerocopy_way way;
	unsigned long arrives;
} zerocopy_ways[] = {
	{ "SEND", zerocopy_send, AFTER },
	{ "sendfile", zerocopy_sendfile, AFTER },
	{ "splice", zerocopy_splice, AFTER },
	{ "control: pread and send", zerocopy_pread, BEFORE },
};

static void zerocopy_test(struct target *t, struct svm *s, unsigned int way,
			  const struct net_kind *net, int advice)
{
	char data[LEN + 256];
	unsigned long addr;
	int pair[2], skip;

	addr = target_map(t, PMD_SIZE, advice);
	target_fill(t, addr, LEN, BEFORE);
	if (advice == MADV_HUGEPAGE && !sys_is_thp(t->pid, addr))
		ksft_exit_fail_msg("no THP here\n");
	net->pair(pair);
	skip = zerocopy_ways[way].way(s, pair[0], addr);
	target_fill(t, addr, LEN, AFTER);
	ksft_test_result(skip >= 0 &&
			 net_read(pair[1], data, skip + LEN) == skip + LEN &&
			 pattern_is(data + skip, addr, LEN,
				    zerocopy_ways[way].arrives),
			 "%s to %s, %s: what was written later %s\n",
			 zerocopy_ways[way].name, net->name,
			 advice == MADV_HUGEPAGE ? "THP" : "4 KiB pages",
			 zerocopy_ways[way].arrives == AFTER ?
			 "arrives" : "does not arrive");
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	struct target t;
	struct svm s;
	size_t i, j;

	ksft_print_header();
	target_start(&t);
	svm_open(&s, t.pid, false);
	for (i = 0; i < ARRAY_SIZE(zerocopy_ways); i++) {
		for (j = 0; j < ARRAY_SIZE(net_kinds); j++) {
			zerocopy_test(&t, &s, i, &net_kinds[j],
				      MADV_NOHUGEPAGE);
			zerocopy_test(&t, &s, i, &net_kinds[j], MADV_HUGEPAGE);
		}
	}
	svm_close(&s);
	target_stop(&t);
	ksft_finished();
}
