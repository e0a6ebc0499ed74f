// SPDX-License-Identifier: GPL-2.0
/*
 * splice, sendfile, SEND and pread return the task's content, for each kind of anonymous and shared
 * memory; a call that cannot read a page fails with the documented errno. The test compares with
 * /proc/PID/mem.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "receiver.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define CONTENT_SEED	4711UL

/**
 * struct kind - memory of one kind
 * @name: of it
 * @map: makes it in the target. Return: its address
 * @len: of it
 * @send: what SEND must say of all of it, SPLICE_VM_RUN_*
 * @splice: what splice and sendfile must say: 0 for the content, or -errno
 * @seed: pattern that is in it; 0 for zeros
 */
struct kind {
	const char *name;
	unsigned long (*map)(struct target *t);
	size_t len;
	__u32 send;
	int splice;
	unsigned long seed;
};

static unsigned long content_small(struct target *t)
{
	unsigned long addr = target_map(t, 64 * PAGE_SIZE, MADV_NOHUGEPAGE);

	target_fill(t, addr, 64 * PAGE_SIZE, CONTENT_SEED);
	return addr;
}

static unsigned long content_thp(struct target *t)
{
	unsigned long addr = target_map(t, 2 * PMD_SIZE, MADV_HUGEPAGE);

	target_fill(t, addr, 2 * PMD_SIZE, CONTENT_SEED);
	if (!sys_is_thp(t->pid, addr))
		ksft_exit_fail_msg("no THP here\n");
	return addr;
}

/* A part of a huge page, neither at its start nor at its end. */
static unsigned long content_thp_part(struct target *t)
{
	return content_thp(t) + 100 * PAGE_SIZE;
}

static unsigned long content_hole(struct target *t)
{
	return target_map(t, 2 * PMD_SIZE, MADV_NOHUGEPAGE);
}

static unsigned long content_zero_page(struct target *t)
{
	unsigned long addr = target_map(t, 64 * PAGE_SIZE, MADV_NOHUGEPAGE);

	target_fill(t, addr, 64 * PAGE_SIZE, 0);
	return addr;
}

static unsigned long content_huge_zero_page(struct target *t)
{
	unsigned long addr = target_map(t, 2 * PMD_SIZE, MADV_HUGEPAGE);

	target_fill(t, addr, 2 * PMD_SIZE, 0);
	return addr;
}

static unsigned long content_swapped(struct target *t)
{
	unsigned long addr = content_small(t);

	target_page_out(t, addr, 64 * PAGE_SIZE);
	return addr;
}

static unsigned long content_map_hugetlb(struct target *t)
{
	long addr = target_sys(t, SYS_mmap, 0, PMD_SIZE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);

	if (addr < 0)
		ksft_exit_fail_msg("hugetlb: %s\n", strerror(-addr));
	return addr;
}

static unsigned long content_hugetlb(struct target *t)
{
	unsigned long addr = content_map_hugetlb(t);

	target_fill(t, addr, PMD_SIZE, CONTENT_SEED);
	return addr;
}

static unsigned long content_map_memfd(struct target *t, int flags)
{
	static const char name[] = "content";
	long fd = target_sys(t, SYS_memfd_create, (unsigned long)name, 0);
	long addr;

	target_sys(t, SYS_ftruncate, fd, PMD_SIZE);
	addr = target_sys(t, SYS_mmap, 0, PMD_SIZE, PROT_READ | PROT_WRITE,
			  flags, fd);
	if (fd < 0 || (addr < 0 && addr > -4096))
		ksft_exit_fail_msg("memfd: %ld %ld\n", fd, addr);
	return addr;
}

static unsigned long content_memfd(struct target *t)
{
	unsigned long addr = content_map_memfd(t, MAP_SHARED);

	target_fill(t, addr, PMD_SIZE, CONTENT_SEED);
	return addr;
}

static unsigned long content_memfd_hole(struct target *t)
{
	return content_map_memfd(t, MAP_SHARED);
}

/* The file's pages are the file's; what was written is the task's own. */
static unsigned long content_private_file(struct target *t)
{
	unsigned long addr = content_map_memfd(t, MAP_PRIVATE);

	target_fill(t, addr, PMD_SIZE, 0);
	target_fill(t, addr, 64 * PAGE_SIZE, CONTENT_SEED);
	return addr;
}

static unsigned long content_prot_none(struct target *t)
{
	unsigned long addr = content_small(t);

	target_sys(t, SYS_mprotect, addr, 64 * PAGE_SIZE, PROT_NONE);
	return addr;
}

static unsigned long content_prot_none_thp(struct target *t)
{
	unsigned long addr = content_thp(t);

	target_sys(t, SYS_mprotect, addr, 2 * PMD_SIZE, PROT_NONE);
	return addr;
}

static unsigned long content_read_only(struct target *t)
{
	unsigned long addr = content_small(t);

	target_sys(t, SYS_mprotect, addr, 64 * PAGE_SIZE, PROT_READ);
	return addr;
}

#define SMALL	(64 * PAGE_SIZE)
#define SENT	SPLICE_VM_RUN_SENT
#define ZERO	SPLICE_VM_RUN_IS_ZERO
#define SLOW	SPLICE_VM_RUN_SLOW

static const struct kind kinds[] = {
	{ "4 KiB pages", content_small, SMALL, SENT, 0, CONTENT_SEED },
	{ "THP", content_thp, 2 * PMD_SIZE, SENT, 0, CONTENT_SEED },
	{ "part of a THP", content_thp_part, SMALL, SENT, 0, CONTENT_SEED },
	{ "hole", content_hole, 2 * PMD_SIZE, ZERO, -ENODATA, 0 },
	{ "zero page", content_zero_page, SMALL, ZERO, -ENODATA, 0 },
	{ "huge zero page", content_huge_zero_page, 2 * PMD_SIZE, ZERO,
	  -ENODATA, 0 },
	{ "swapped", content_swapped, SMALL, SLOW, -ENODATA, CONTENT_SEED },
	{ "hugetlb", content_hugetlb, PMD_SIZE, SLOW, -ENODATA, CONTENT_SEED },
	{ "hugetlb hole", content_map_hugetlb, PMD_SIZE, SLOW, -ENODATA, 0 },
	{ "memfd", content_memfd, PMD_SIZE, SENT, 0, CONTENT_SEED },
	{ "memfd hole", content_memfd_hole, PMD_SIZE, SLOW, -ENODATA, 0 },
	{ "private file, written", content_private_file, SMALL, SENT, 0,
	  CONTENT_SEED },
	{ "PROT_NONE", content_prot_none, SMALL, SENT, 0, CONTENT_SEED },
	{ "PROT_NONE THP", content_prot_none_thp, 2 * PMD_SIZE, SENT, 0,
	  CONTENT_SEED },
	{ "read-only", content_read_only, SMALL, SENT, 0, CONTENT_SEED },
};

/* All pages got the same answer, in order, and none was left out. */
static bool content_results_are(const struct svm_runs *results, __u64 addr,
				size_t len, __u32 flags)
{
	size_t i;

	for (i = 0; i < results->nr; i++) {
		if (results->v[i].addr != addr || results->v[i].flags != flags)
			return false;
		addr += results->v[i].nr_pages * PAGE_SIZE;
		len -= results->v[i].nr_pages * PAGE_SIZE;
	}
	return !len;
}

static void content_test_send(struct svm *s, const struct kind *kind,
			      unsigned long addr, const struct net_kind *net,
			      __u32 flags)
{
	struct splice_vm_run run = { addr, kind->len / PAGE_SIZE, 0 };
	struct svm_send send = { .cookie = 0x1122334455667788ULL };
	struct receiver r = { .cookie = send.cookie };
	struct mirror m;
	bool right;
	int pair[2];

	mirror_init(&m);
	net->pair(pair);
	r.fd = pair[1];
	r.mirror = &m;
	receiver_start(&r);
	send.sock = pair[0];
	ksft_test_value(svm_send_all(s, &send, &run, 1), 0,
			"%s: SEND to %s\n", kind->name, net->name);
	shutdown(pair[0], SHUT_WR);
	receiver_join(&r);
	if (!ksft_test_result(content_results_are(&send.results, addr,
						  kind->len, flags),
			      "%s: results of SEND to %s\n", kind->name,
			      net->name))
		svm_runs_print(&send.results);
	/* What was not sent leaves nothing in the stream. */
	right = !r.broken && r.bytes == send.bytes &&
		(flags == SENT ? mirror_is_pattern(&m, addr, run.nr_pages,
						   kind->seed) : !m.nr);
	ksft_test_result(right, "%s: stream of SEND to %s: %s\n", kind->name,
			 net->name, r.broken ?: "whole");
	svm_runs_free(&send.results);
	mirror_free(&m);
	close(pair[0]);
	close(pair[1]);
}

static long content_splice_loop(int fd, unsigned long addr, size_t len,
				int out)
{
	size_t done = 0;
	int pipe_fds[2];
	ssize_t got = 0;

	ksft_must(!pipe2(pipe_fds, O_CLOEXEC));
	while (done < len && got >= 0) {
		got = svm_splice(fd, pipe_fds[1], addr + done, len - done);
		if (got > 0)
			ksft_must(splice(pipe_fds[0], NULL, out, NULL, got, 0) ==
				  got);
		done += got;
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return got < 0 ? got : (long)done;
}

static long content_sendfile_loop(int fd, unsigned long addr, size_t len,
				  int out)
{
	off_t pos = addr;
	ssize_t got;

	while (pos < (off_t)(addr + len)) {
		got = sendfile(out, fd, &pos, addr + len - pos);
		if (got < 0)
			return -errno;
	}
	return len;
}

static void content_test_splice(struct svm *s, const struct kind *kind,
				unsigned long addr, int err, const char *name,
				long (*loop)(int fd, unsigned long addr,
					     size_t len, int out))
{
	struct net_sink sink;
	int pair[2];
	long got;

	net_unix_pair(pair);
	net_sink_start(&sink, pair[1], kind->len + PAGE_SIZE);
	got = loop(s->fd, addr, kind->len, pair[0]);
	close(pair[0]);
	net_sink_join(&sink);
	ksft_test_value(got, err ?: (long)kind->len, "%s: %s\n", kind->name,
			name);
	ksft_test_result(err ? !sink.len :
			 sink.len == kind->len &&
			 pattern_is(sink.data, addr, kind->len, kind->seed),
			 "%s: bytes of %s\n", kind->name, name);
	net_sink_free(&sink);
	close(pair[1]);
}

static void content_test_pread(struct svm *s, struct target *t,
			       const struct kind *kind, unsigned long addr)
{
	int mem_fd = sys_witness_open(t->pid);
	char *ours = malloc(kind->len), *theirs = malloc(kind->len);

	ksft_must(ours && theirs);
	ksft_test_value(pread(s->fd, ours, kind->len, addr), kind->len,
			"%s: pread\n", kind->name);
	ksft_test_result(pattern_is(ours, addr, kind->len, kind->seed),
			 "%s: bytes of pread\n", kind->name);
	ksft_must(pread(mem_fd, theirs, kind->len, addr) == (ssize_t)kind->len);
	ksft_test_result(!memcmp(ours, theirs, kind->len),
			 "%s: same as /proc/PID/mem\n", kind->name);
	free(ours);
	free(theirs);
	sys_witness_close(t->pid, mem_fd);
}

static void content_test_kind(const struct kind *kind)
{
	struct target t;
	struct svm s;
	unsigned long addr;

	target_start(&t);
	addr = kind->map(&t);
	svm_open(&s, t.pid, false);
	content_test_send(&s, kind, addr, &net_kinds[0], kind->send);
	content_test_send(&s, kind, addr, &net_kinds[1], kind->send);
	content_test_splice(&s, kind, addr, kind->splice, "splice",
			    content_splice_loop);
	content_test_splice(&s, kind, addr, kind->splice, "sendfile",
			    content_sendfile_loop);
	content_test_pread(&s, &t, kind, addr);
	/* pread() brought it in: now it goes by reference. */
	if (kind->map == content_swapped)
		content_test_send(&s, kind, addr, &net_kinds[0], SENT);
	svm_close(&s);
	target_stop(&t);
}

/* A wrong byte anywhere must be seen, or the cases above prove nothing. */
static void content_test_control(void)
{
	struct target t;
	struct svm s;
	unsigned long addr;
	char *data = malloc(SMALL);

	ksft_must(data);
	target_start(&t);
	addr = content_small(&t);
	svm_open(&s, t.pid, false);
	ksft_must(pread(s.fd, data, SMALL, addr) == SMALL);
	data[SMALL - 1] ^= 1;
	ksft_test_result(!pattern_is(data, addr, SMALL, CONTENT_SEED),
			 "control: a wrong byte is seen\n");
	data[SMALL - 1] ^= 1;
	ksft_test_result(!pattern_is(data, addr + PAGE_SIZE, SMALL,
				     CONTENT_SEED),
			 "control: pages at a wrong address are seen\n");
	target_fill(&t, addr, SMALL, CONTENT_SEED + 1);
	ksft_must(pread(s.fd, data, SMALL, addr) == SMALL);
	ksft_test_result(!pattern_is(data, addr, SMALL, CONTENT_SEED),
			 "control: other content is seen\n");
	svm_close(&s);
	target_stop(&t);
	free(data);
}

int main(void)
{
	size_t i;

	ksft_print_header();
	sys_swap_on(256);
	sys_hugetlb_pages(4);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		content_test_kind(&kinds[i]);
	content_test_control();
	sys_hugetlb_pages(0);
	ksft_finished();
}
