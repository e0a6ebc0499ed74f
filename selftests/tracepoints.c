// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints, through an instance of tracefs: each event comes with its call, and its fields
 * match the call's results.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define TRACING		"/sys/kernel/tracing"
#define INSTANCE	TRACING "/instances/splice_vm_test"
#define EVENTS		INSTANCE "/events/splice_vm"
#define PAGES		256UL
#define LEN		(PAGES * PAGE_SIZE)
#define COOKIE		0x1234
#define TEXT_MAX	(1 << 20)

/* What the buffer holds; whole lines. */
static char *trace_read(void)
{
	static char text[TEXT_MAX];
	size_t len = 0;
	ssize_t got;
	int fd = open(INSTANCE "/trace", O_RDONLY);

	ksft_must(fd >= 0);
	while ((got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	close(fd);
	text[len] = 0;
	return text;
}

static void trace_clear(void)
{
	int fd = open(INSTANCE "/trace", O_WRONLY | O_TRUNC);

	ksft_must(fd >= 0);
	close(fd);
}

static void trace_enable(bool on)
{
	ksft_must(!sys_write_file(EVENTS "/enable", on ? "1" : "0"));
}

/*
 * A line of @event, as trace_printk writes it after the event's name, that has all of the
 * fields in @want, a string of them; NULL when there is none.
 */
static char *trace_find(const char *event, const char *want)
{
	static char line[512];
	char name[64], *text = trace_read(), *at, *next;

	snprintf(name, sizeof(name), " splice_vm_%s: ", event);
	for (at = text; *at; at = next) {
		next = strchr(at, '\n');
		if (!next)
			break;
		*next++ = 0;
		at = strstr(at, name);
		if (!at)
			continue;
		snprintf(line, sizeof(line), "%s ", at + strlen(name));
		if (strstr(line, want))
			return line;
	}
	return NULL;
}

static unsigned long trace_count(const char *event)
{
	unsigned long count = 0;
	char name[64], *at = trace_read();

	snprintf(name, sizeof(name), " splice_vm_%s: ", event);
	while ((at = strstr(at, name))) {
		count++;
		at += strlen(name);
	}
	return count;
}

static void trace_expect(const char *event, const char *want)
{
	if (ksft_test_result(trace_find(event, want), "%s: %s\n", event, want))
		return;
	ksft_print_msg("the trace has:\n");
	for (char *line = strtok(trace_read(), "\n"); line;
	     line = strtok(NULL, "\n"))
		ksft_print_msg("%s\n", line);
}

static __u64 trace_field(const char *line, const char *field)
{
	const char *at = line ? strstr(line, field) : NULL;

	return at ? strtoull(at + strlen(field), NULL, 0) : ~0ULL;
}

static void tracepoints_test_attach(struct target *t, struct svm *s)
{
	int mem_fd = sys_proc_open(t->pid, "mem", O_RDWR);
	char want[128];

	s->fd = svm_open_device();
	s->refs_fd = sys_proc_open(t->pid, "clear_refs", O_WRONLY);
	ksft_must(svm_attach(s->fd, s->refs_fd, 2048) == -EINVAL);
	ksft_must(!svm_attach(s->fd, mem_fd, 2048));
	ksft_must(!svm_track(s->fd));
	close(mem_fd);
	trace_expect("attach", " pid=0 max_inflight=0 ret=-22 ");
	snprintf(want, sizeof(want), " pid=%d max_inflight=2048 ret=0 ", t->pid);
	trace_expect("attach", want);
}

static void tracepoints_test_epoch(struct target *t, struct svm *s)
{
	char want[128], *line;

	svm_epoch(s);
	svm_epoch(s);
	ksft_test_value(trace_count("epoch"), 2, "epoch: twice\n");
	snprintf(want, sizeof(want), " pid=%d epoch=2 ns=", t->pid);
	trace_expect("epoch", want);
	line = trace_find("epoch", want);
	ksft_test_result(trace_field(line, " ns=") > 100 &&
			 trace_field(line, " ns=") < 10000000000ULL,
			 "epoch: took %llu ns\n", trace_field(line, " ns="));
}

static void tracepoints_test_drop(struct target *t, unsigned long addr)
{
	char want[128];

	target_madvise(t, addr, 4 * PAGE_SIZE, MADV_DONTNEED);
	snprintf(want, sizeof(want), " pid=%d start=%#lx end=%#lx why=clear ",
		 t->pid, addr, addr + 4 * PAGE_SIZE);
	trace_expect("drop", want);
	ksft_must(!target_sys(t, SYS_munmap, addr + 8 * PAGE_SIZE, PAGE_SIZE));
	snprintf(want, sizeof(want), " pid=%d start=%#lx end=%#lx why=unmap ",
		 t->pid, addr + 8 * PAGE_SIZE, addr + 9 * PAGE_SIZE);
	trace_expect("drop", want);
}

static void tracepoints_test_scan(struct target *t, struct svm *s,
				  unsigned long addr)
{
	struct svm_runs runs = {};
	char want[256];

	trace_clear();
	ksft_must(!svm_scan(s, SPLICE_VM_SCAN_TRACKED, addr, addr + LEN, 4096,
			    &runs));
	snprintf(want, sizeof(want),
		 " pid=%d flags=TRACKED next=%#lx epoch=2 runs=%zu dirty=%lu dropped=%lu ret=0 ",
		 t->pid, addr + LEN, runs.nr,
		 svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0),
		 svm_runs_pages(&runs, SPLICE_VM_RUN_DROPPED, 0));
	trace_expect("scan", want);
	ksft_test_result(svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0) &&
			 svm_runs_pages(&runs, SPLICE_VM_RUN_DROPPED, 0) == 5,
			 "control: it found something\n");
	svm_runs_free(&runs);
	ksft_must(!svm_scan(s, SPLICE_VM_SCAN_POPULATED, addr, addr + LEN, 4096,
			    &runs));
	snprintf(want, sizeof(want), " flags=POPULATED next=%#lx epoch=2 runs=%zu dirty=0 ",
		 addr + LEN, runs.nr);
	trace_expect("scan", want);
	svm_runs_free(&runs);
}

static void tracepoints_test_send(struct target *t, struct svm *s,
				  unsigned long addr)
{
	struct splice_vm_run run = { .addr = addr, .nr_pages = 20 };
	struct svm_send send = { .cookie = COOKIE };
	struct net_sink sink;
	char want[256];
	int pair[2];

	net_tcp_pair(pair);
	net_sink_start(&sink, pair[1], 1 << 20);
	send.sock = pair[0];
	ksft_must(!svm_send_all(s, &send, &run, 1));
	/* Four were dropped, one has no mapping. */
	snprintf(want, sizeof(want),
		 " pid=%d cookie=%#x runs=1 done=20 sent=15 bytes=%llu ret=0 ",
		 t->pid, COOKIE, send.bytes);
	trace_expect("send", want);
	close(pair[0]);
	net_sink_join(&sink);
	ksft_must(svm_send_one(s->fd, 0, addr, 1, NULL) < 0);
	trace_expect("send", " runs=1 done=0 sent=0 bytes=0 ret=-");
	close(pair[1]);
	net_sink_free(&sink);
	svm_runs_free(&send.results);
}

int main(void)
{
	unsigned long addr;
	struct target t;
	struct svm s;

	ksft_print_header();
	rmdir(INSTANCE);
	ksft_must(!mkdir(INSTANCE, 0700));
	target_start(&t);
	addr = target_map(&t, LEN, MADV_NOHUGEPAGE);
	target_fill(&t, addr, LEN, 1);

	svm_open(&s, t.pid, true);
	svm_epoch(&s);
	svm_close(&s);
	ksft_test_result(!strstr(trace_read(), "splice_vm_"),
			 "control: nothing is traced before it is asked for\n");
	trace_enable(true);
	tracepoints_test_attach(&t, &s);
	tracepoints_test_epoch(&t, &s);
	tracepoints_test_drop(&t, addr);
	tracepoints_test_scan(&t, &s, addr);
	tracepoints_test_send(&t, &s, addr);
	trace_enable(false);
	svm_close(&s);
	target_stop(&t);
	ksft_must(!rmdir(INSTANCE));
	ksft_finished();
}
