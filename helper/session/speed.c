// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/page.h"
#include "session/speed.h"

#define RUNS		8
#define FILES		16
#define WAKES		64
#define WAKE_MAX_US	10000
#define MAPPINGS	128
#define PAGES		128
#define KEPT_NS		(60 * CLOCK_NS_PER_S)

/** struct partner - a process that answers each byte with one; @pid: 0, it could not be made */
struct partner {
	pid_t pid;
	int sock;
};

static void read_whole(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
	if (fd >= 0)
		close(fd);
}

static void read_files(void)
{
	for (int i = 0; i < FILES; i++)
		read_whole("/proc/self/status");
}

/* Every other one differs from its neighbours, so that none merge. */
static void make_mappings(void)
{
	char *area = mmap(NULL, MAPPINGS * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return;
	for (int i = 0; i < MAPPINGS; i += 2)
		mprotect(area + i * PAGE_BYTES, PAGE_BYTES, PROT_NONE);
	read_whole("/proc/self/maps");
	munmap(area, MAPPINGS * PAGE_BYTES);
}

static void write_pages(void)
{
	char *area = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return;
	for (int i = 0; i < PAGES; i++)
		*(volatile char *)(area + i * PAGE_BYTES) = 1;
	munmap(area, PAGES * PAGE_BYTES);
}

static uint64_t measure(void (*run)(void), unsigned int nr)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < RUNS; i++) {
		uint64_t begin = clock_now_ns(), ns;

		run();
		ns = (clock_now_ns() - begin) / nr;
		least = ns < least ? ns : least;
	}
	return least ?: 1;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * The lower quartile: the least is of a CPU that had not gone to sleep yet, and on a machine with much other work
 * the median waits until a program on that CPU is preempted. CRIU wakes the others many times in a row.
 */
static uint64_t measure_wakes(const struct partner *partner)
{
	uint64_t ns[WAKES];
	char byte = 0;

	for (int i = 0; i < WAKES; i++) {
		uint64_t begin = clock_now_ns();

		if (partner->pid && send(partner->sock, &byte, 1, MSG_NOSIGNAL) == 1)
			recv(partner->sock, &byte, 1, 0);
		ns[i] = clock_now_ns() - begin;
	}
	qsort(ns, WAKES, sizeof(*ns), compare);
	return ns[WAKES / 4] ?: 1;
}

static void run_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* The caller's end is closed when the caller dies. */
static void answer(int sock, int cpu)
{
	char byte;

	run_on(cpu);
	while (read(sock, &byte, 1) == 1 && write(sock, &byte, 1) == 1)
		;
	_exit(0);
}

static void partner_start(struct partner *partner, int cpu)
{
	const struct timeval patience = { .tv_usec = WAKE_MAX_US };
	int pair[2];

	partner->pid = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return;
	partner->pid = fork();
	if (!partner->pid) {
		close(pair[0]);
		answer(pair[1], cpu);
	}
	close(pair[1]);
	/* a real-time program may have the partner's CPU */
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	partner->sock = pair[0];
	if (partner->pid < 0) {
		close(pair[0]);
		partner->pid = 0;
	}
}

static void partner_stop(const struct partner *partner)
{
	if (!partner->pid)
		return;
	close(partner->sock);
	kill(partner->pid, SIGKILL);
	waitpid(partner->pid, NULL, 0);
}

/* One that is allowed, and another than @cpu where there is one. */
static int other_cpu(const cpu_set_t *allowed, int cpu)
{
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (i != cpu && CPU_ISSET(i, allowed))
			return i;
	return cpu;
}

static void measure_all(struct speed *speed)
{
	struct partner partner = { 0 };
	cpu_set_t before;
	int cpu = sched_getcpu();

	if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(before), &before))
		CPU_ZERO(&before);
	else
		run_on(cpu);
	partner_start(&partner, other_cpu(&before, cpu));
	speed->file = measure(read_files, FILES);
	speed->wake = measure_wakes(&partner);
	speed->mapping = measure(make_mappings, MAPPINGS);
	speed->page = measure(write_pages, PAGES);
	partner_stop(&partner);
	if (CPU_COUNT(&before))
		sched_setaffinity(0, sizeof(before), &before);
}

void speed_measure(struct speed *speed)
{
	static struct speed last;
	static uint64_t at_ns;

	if (!at_ns || clock_now_ns() - at_ns > KEPT_NS) {
		measure_all(&last);
		at_ns = clock_now_ns();
	}
	*speed = last;
}
