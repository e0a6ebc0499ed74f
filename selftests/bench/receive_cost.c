// SPDX-License-Identifier: GPL-2.0
/*
 * CPU of the receiver: migrate-helper's own, which takes recorded frames into the mirror, over recv(2) of the same pages
 * into a fresh memfd. A sender replays both from tmpfs by sendfile(2), over TCP loopback.
 *	rx_cpu_ratio		until all pages are received
 *	arrive_cpu_ratio	until all are in the task: by migrate-helper's populating, and by UFFDIO_COPY
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "dest/populate.h"
#include "dest/receiver.h"
#include "dest/spaces.h"
#include "lib/bench.h"
#include "lib/sys.h"
#include "tests/mm_hooks.h"

#define AT		0x100000000000UL
#define MM		7
#define PID		4711
#define BYTES		(1UL << 30)
#define NR_PAGES	(BYTES / PAGE_BYTES)
#define PIECE		(1UL << 20)

static void quit(const char *what)
{
	perror(what);
	exit(1);
}

static int recorded = -1, plain = -1;

/* What stands at offset @at of the program's memory */
static uint64_t word(uint64_t at)
{
	return at * 0x9e3779b97f4a7c15UL;
}

/* Frames as the module's SEND makes them: one run of FRAME_MAX_PAGES pages each. */
static void record(void)
{
	static uint8_t data[FRAME_MAX_PAGES * PAGE_BYTES];
	struct conn conn = CONN_NONE;
	struct error err = { 0 };
	int pair[2];
	ssize_t n;

	recorded = memfd_create("frames", 0);
	plain = memfd_create("pages", 0);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		quit("socketpair");
	for (uint64_t page = 0; page < NR_PAGES; page += FRAME_MAX_PAGES) {
		struct splice_vm_run run = { .addr = AT + page * PAGE_BYTES, .nr_pages = FRAME_MAX_PAGES };
		struct splice_vm_batch head = {
			.magic = FRAME_PAGES, .nr_runs = 1, .nr_pages = FRAME_MAX_PAGES, .cookie = FRAME_COOKIE(1, MM),
		};

		for (size_t i = 0; i < sizeof(data); i += sizeof(uint64_t))
			*(uint64_t *)(data + i) = word(page * PAGE_BYTES + i);
		if (write(recorded, &head, sizeof(head)) != sizeof(head) ||
		    write(recorded, &run, sizeof(run)) != sizeof(run) ||
		    write(recorded, data, sizeof(data)) != sizeof(data) ||
		    write(plain, data, sizeof(data)) != sizeof(data))
			quit("write");
	}
	conn.fd = pair[0];
	if (frame_send(&conn, FRAME_ROUND, FRAME_COOKIE(1, MM), NULL, 0, &err))
		quit("frame_send");
	n = recv(pair[1], data, sizeof(data), MSG_DONTWAIT);
	if (n <= 0 || write(recorded, data, n) != n)
		quit("write");
}

static int pass(void *ctx, uint32_t round, struct error *err)
{
	return 0;
}

/* Where the pages belong, in this process. Return: its userfaultfd */
static int open_task(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = AT, .len = BYTES }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (mmap((void *)AT, BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ||
	    ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		quit("userfaultfd");
	return fd;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* Each page is where it belongs. */
static void check_task(void)
{
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (*(uint64_t *)(AT + page * PAGE_BYTES) != word(page * PAGE_BYTES))
			fail("a page is wrong");
}

/* The course from FINAL on, of a program that lacks no page. */
static void populate_ours(struct mm *mm)
{
	const struct splice_vm_run all = { .addr = AT, .nr_pages = NR_PAGES };
	struct error err = { 0 };
	uint64_t have, lack;
	struct page_set lazy;
	bool done = false;

	page_set_init(&lazy);
	if (page_set_add(&lazy, AT, NR_PAGES, &err) || mm_populate(mm, &all, 1, &err))
		fail(err.what);
	mm_final(mm, &have, &lack);
	if (lack || mm_seal(mm, &lazy, &err) || spaces_attach(mm, open_task(), &err))
		fail("pages lack");
	spaces_ready(mm);
	while (!done) {
		mm_lock(mm);
		if (populate_step(mm, &err) == STEP_FAILED)
			fail(err.what);
		done = spaces_done(mm);
		mm_unlock(mm);
	}
}

static struct mm *receive_ours(int sock)
{
	static struct conn conn;
	static struct objects objects;
	static struct place place;
	struct receiver receiver = {
		.conn = &conn, .objects = &objects, .place = &place, .hooks = { .gate = pass, .round = pass },
	};
	const struct mirror_range range = { AT, AT + BYTES };
	struct error err = { 0 };
	struct mm *mm;

	conn.fd = sock;
	objects_init(&objects, &no_mm_hooks, NULL, &place);
	mm = objects_add_mm(&objects, MM, PID, &err);
	if (!mm || mm_announce(mm, &range, 1, &err) || receiver_run(&receiver, &err))
		fail(err.what);
	if (receiver.round != 1 || mm->mirror.have.nr != NR_PAGES)
		fail("pages are missing");
	return mm;
}

static void rx_ours(int sock)
{
	receive_ours(sock);
}

static void arrive_ours(int sock)
{
	populate_ours(receive_ours(sock));
}

static char *receive_plain(int sock)
{
	int fd = memfd_create("fresh", 0);
	char *at, *end;
	ssize_t n;

	if (ftruncate(fd, BYTES))
		quit("ftruncate");
	at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		quit("mmap");
	for (end = at + BYTES; at < end; at += n) {
		n = recv(sock, at, MIN((size_t)(end - at), PIECE), 0);
		if (n <= 0)
			quit("recv");
	}
	return end - BYTES;
}

static void rx_plain(int sock)
{
	receive_plain(sock);
}

static void arrive_plain(int sock)
{
	char *from = receive_plain(sock);
	int uffd = open_task();

	for (uint64_t at = 0; at < BYTES; at += PIECE) {
		struct uffdio_copy copy = { .dst = AT + at, .src = (uintptr_t)from + at, .len = PIECE };

		if (ioctl(uffd, UFFDIO_COPY, &copy))
			quit("UFFDIO_COPY");
	}
}

static double cpu(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID) / (double)CLOCK_NS_PER_S;
}

static void send_all(int sock, int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END), at = 0;

	while (at < bytes)
		if (sendfile(sock, fd, &at, bytes - at) <= 0)
			quit("sendfile");
	close(sock);
}

static void connect_pair(int pair[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&addr, len) || listen(listener, 1) || getsockname(listener, (void *)&addr, &len) ||
	    connect(pair[0], (void *)&addr, len))
		quit("connect");
	pair[1] = accept(listener, NULL, NULL);
	close(listener);
}

/* In a process of its own, whose memory is fresh. Return: seconds of its CPU */
static double run(void (*receive)(int sock), int fd, bool arrives)
{
	int pair[2], told[2];
	double seconds = 0;
	pid_t child;

	connect_pair(pair);
	if (pipe(told))
		quit("pipe");
	child = fork();
	if (!child) {
		double from;

		close(pair[0]);
		from = cpu();
		receive(pair[1]);
		seconds = cpu() - from;
		if (arrives)
			check_task();
		_exit(write(told[1], &seconds, sizeof(seconds)) != sizeof(seconds));
	}
	close(pair[1]);
	close(told[1]);
	send_all(pair[0], fd);
	if (read(told[0], &seconds, sizeof(seconds)) != sizeof(seconds))
		exit(1);
	close(told[0]);
	waitpid(child, NULL, 0);
	return seconds;
}

static double run_rx_ours(void)
{
	return run(rx_ours, recorded, false);
}

static double run_rx_plain(void)
{
	return run(rx_plain, plain, false);
}

static double run_arrive_ours(void)
{
	return run(arrive_ours, recorded, true);
}

static double run_arrive_plain(void)
{
	return run(arrive_plain, plain, true);
}

int main(void)
{
	struct bench_way rx[] = {
		{ .name = "migrate-helper's receiver", .run = run_rx_ours },
		{ .name = "recv into a fresh memfd", .run = run_rx_plain },
	};
	struct bench_way arrive[] = {
		{ .name = "migrate-helper, until all is in the task", .run = run_arrive_ours },
		{ .name = "recv, then UFFDIO_COPY", .run = run_arrive_plain },
	};

	record();
	bench_compare("rx_cpu_ratio", &rx[0], &rx[1]);
	bench_compare("arrive_cpu_ratio", &arrive[0], &arrive[1]);
	return 0;
}
