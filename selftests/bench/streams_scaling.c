// SPDX-License-Identifier: GPL-2.0
/*
 * How much faster migrate-helper's own receiver takes recorded frames into the mirror over two memory streams than over one:
 * a thread for each stream, and a process for each that replays its frames from tmpfs by sendfile(2), over TCP loopback.
 *	streams_scaling		time until all pages are received, one stream over two
 * The CPU time of both sides is printed beside it: on N CPUs no run is faster than the sum of them over N.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "dest/receiver.h"
#include "lib/bench.h"
#include "lib/net.h"
#include "lib/sys.h"
#include "source/streams.h"
#include "tests/mm_hooks.h"

#define AT		0x100000000000UL
#define MM		7
#define PID		4711
#define BYTES		(1UL << 30)
#define NR_PAGES	(BYTES / PAGE_BYTES)
#define NR_MAX		2

/** struct cost - seconds of CPU of one run, of each side; @wall: of the clock; @process: with what the receiver's process did besides */
struct cost {
	double wall, receiver, process, senders;
};

/** struct side - runs with so many streams: what each of them cost */
struct side {
	struct cost costs[BENCH_RUNS + 1];
	int nr;
};

/* Frames of each stream, of one and of two. */
static int recorded[NR_MAX + 1][NR_MAX];

static void quit(const char *what)
{
	perror(what);
	exit(1);
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* What stands at offset @at of the program's memory */
static uint64_t word(uint64_t at)
{
	return at * 0x9e3779b97f4a7c15UL;
}

static void write_all(int fd, const void *data, size_t bytes)
{
	if (write(fd, data, bytes) != (ssize_t)bytes)
		quit("write");
}

/* Frames as the module's SEND makes them: one run of a stripe each, over the stream that the source would choose. */
static void record(unsigned int streams)
{
	static uint8_t data[FRAME_MAX_PAGES * PAGE_BYTES];

	for (unsigned int i = 0; i < streams; i++)
		recorded[streams][i] = memfd_create("frames", 0);
	for (uint64_t page = 0; page < NR_PAGES; page += FRAME_MAX_PAGES) {
		struct splice_vm_run run = { .addr = AT + page * PAGE_BYTES, .nr_pages = FRAME_MAX_PAGES };
		struct splice_vm_batch head = {
			.magic = FRAME_PAGES, .nr_runs = 1, .nr_pages = FRAME_MAX_PAGES, .cookie = FRAME_COOKIE(1, MM),
		};
		int fd = recorded[streams][run.addr / STREAMS_STRIPE % streams];

		for (size_t i = 0; i < sizeof(data); i += sizeof(uint64_t))
			*(uint64_t *)(data + i) = word(page * PAGE_BYTES + i);
		write_all(fd, &head, sizeof(head));
		write_all(fd, &run, sizeof(run));
		write_all(fd, data, sizeof(data));
	}
	for (unsigned int i = 0; i < streams; i++) {
		const struct splice_vm_batch end = {
			.magic = FRAME_ROUND, .cookie = FRAME_COOKIE(1, i ? FRAME_ALL_OBJECTS : MM),
		};

		write_all(recorded[streams][i], &end, sizeof(end));
	}
}

static int pass(void *ctx, uint32_t round, struct error *err)
{
	return 0;
}

static void *receive(void *arg)
{
	struct receiver *receiver = arg;
	struct error err = { 0 };

	if (receiver_run(receiver, &err))
		fail(err.what);
	return NULL;
}

/* Each page is where it belongs. */
static void check(struct mm *mm)
{
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		const uint64_t *first = mirror_at(&mm->mirror, AT + page * PAGE_BYTES, 1);

		if (*first != word(page * PAGE_BYTES))
			fail("a page is wrong");
	}
}

static double seconds(clockid_t clock)
{
	return clock_ns(clock) / (double)CLOCK_NS_PER_S;
}

/* @go: closed, so that the senders begin */
static struct cost receive_all(const int *socks, unsigned int streams, int go)
{
	static struct objects objects;
	static struct place place;
	const struct mirror_range range = { AT, AT + BYTES };
	struct receiver receivers[NR_MAX];
	struct conn conns[NR_MAX];
	pthread_t threads[NR_MAX];
	struct barrier barrier;
	struct error err = { 0 };
	struct cost cost;
	struct mm *mm;

	barrier_init(&barrier, streams);
	objects_init(&objects, &no_mm_hooks, NULL, &place);
	mm = objects_add_mm(&objects, MM, PID, &err);
	if (!mm || mm_announce(mm, &range, 1, &err))
		fail(err.what);
	cost.wall = seconds(CLOCK_MONOTONIC);
	cost.receiver = seconds(CLOCK_PROCESS_CPUTIME_ID);
	close(go);
	for (unsigned int i = 0; i < streams; i++) {
		conns[i] = (struct conn){ .fd = socks[i] };
		receivers[i] = (struct receiver){
			.conn = &conns[i], .objects = &objects, .place = &place, .stream = i,
			.barrier = streams > 1 ? &barrier : NULL, .hooks = { .gate = pass, .round = pass },
		};
		if (pthread_create(&threads[i], NULL, receive, &receivers[i]))
			quit("pthread_create");
	}
	for (unsigned int i = 0; i < streams; i++)
		pthread_join(threads[i], NULL);
	cost.wall = seconds(CLOCK_MONOTONIC) - cost.wall;
	cost.receiver = seconds(CLOCK_PROCESS_CPUTIME_ID) - cost.receiver;
	if (receivers[0].round != 1 || mm->mirror.have.nr != NR_PAGES)
		fail("pages are missing");
	check(mm);
	cost.process = seconds(CLOCK_PROCESS_CPUTIME_ID);
	return cost;
}

static void send_all(int sock, int fd, int go)
{
	off_t bytes = lseek(fd, 0, SEEK_END), at = 0;
	char byte;

	if (read(go, &byte, 1) != 0)
		quit("read");
	while (at < bytes)
		if (sendfile(sock, fd, &at, bytes - at) <= 0)
			quit("sendfile");
}

static double children(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Senders and receiver in processes of their own, whose memory is fresh. */
static struct cost run(unsigned int streams)
{
	int pairs[NR_MAX][2], socks[NR_MAX], told[2], go[2];
	struct cost cost;
	double before = children();
	pid_t receiver;

	if (pipe(told) || pipe(go))
		quit("pipe");
	for (unsigned int i = 0; i < streams; i++) {
		net_tcp_pair(pairs[i]);
		socks[i] = pairs[i][1];
	}
	receiver = fork();
	if (!receiver) {
		for (unsigned int i = 0; i < streams; i++)
			close(pairs[i][0]);
		cost = receive_all(socks, streams, go[1]);
		_exit(write(told[1], &cost, sizeof(cost)) != sizeof(cost));
	}
	close(go[1]);
	for (unsigned int i = 0; i < streams; i++) {
		close(socks[i]);
		if (fork())
			continue;
		for (unsigned int other = 0; other < streams; other++)
			if (other != i)
				close(pairs[other][0]);
		send_all(pairs[i][0], recorded[streams][i], go[0]);
		_exit(0);
	}
	for (unsigned int i = 0; i < streams; i++)
		close(pairs[i][0]);
	close(told[1]);
	if (read(told[0], &cost, sizeof(cost)) != sizeof(cost))
		exit(1);
	while (wait(NULL) > 0)
		;
	close(told[0]);
	close(go[0]);
	cost.senders = children() - before - cost.process;
	return cost;
}

static struct side sides[NR_MAX + 1];

static double run_streams(unsigned int streams)
{
	struct side *side = &sides[streams];
	struct cost cost = run(streams);

	side->costs[side->nr++] = cost;
	return cost.wall;
}

static double run_one(void)
{
	return run_streams(1);
}

static double run_two(void)
{
	return run_streams(2);
}

/* The first run was to warm up. */
static void print_cpu(unsigned int streams)
{
	double receiver[BENCH_RUNS], senders[BENCH_RUNS], sum[BENCH_RUNS];
	char name[64];

	for (int i = 0; i < BENCH_RUNS; i++) {
		const struct cost *cost = &sides[streams].costs[i + 1];

		receiver[i] = cost->receiver * 1e3;
		senders[i] = cost->senders * 1e3;
		sum[i] = receiver[i] + senders[i];
	}
	snprintf(name, sizeof(name), "CPU ms of the receiver, streams: %u", streams);
	bench_spread(name, receiver);
	snprintf(name, sizeof(name), "CPU ms of the senders, streams: %u", streams);
	bench_spread(name, senders);
	snprintf(name, sizeof(name), "CPU ms of both, streams: %u", streams);
	bench_spread(name, sum);
}

int main(void)
{
	struct bench_way one = { .name = "one stream", .run = run_one };
	struct bench_way two = { .name = "two streams", .run = run_two };

	record(1);
	record(2);
	bench_compare("streams_scaling", &one, &two);
	print_cpu(1);
	print_cpu(2);
	printf("# CPUs: %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
	return 0;
}
