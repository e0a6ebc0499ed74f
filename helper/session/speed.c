// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/page.h"
#include "session/speed.h"

#define RUNS		8
#define PROCESSES	2
#define FILES		16
#define MAPPINGS	128
#define STOPS		8
#define PAGES		128
#define KEPT_NS		(60 * CLOCK_NS_PER_S)


static void make_processes(pid_t child)
{
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

static void read_whole(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
	if (fd >= 0)
		close(fd);
}

static void read_files(pid_t child)
{
	for (int i = 0; i < FILES; i++)
		read_whole("/proc/self/status");
}

/* Every other one differs from its neighbours, so that none merge. */
static void make_mappings(pid_t child)
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

static void stop_child(pid_t child)
{
	struct user_regs_struct regs;
	int status;

	for (int i = 0; i < STOPS && child > 0; i++) {
		if (ptrace(PTRACE_INTERRUPT, child, NULL, NULL) ||
		    waitpid(child, &status, __WALL) != child)
			return;
		ptrace(PTRACE_GETREGS, child, NULL, &regs);
		ptrace(PTRACE_CONT, child, NULL, NULL);
	}
}

static void write_pages(pid_t child)
{
	char *area = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return;
	for (int i = 0; i < PAGES; i++)
		*(volatile char *)(area + i * PAGE_BYTES) = 1;
	munmap(area, PAGES * PAGE_BYTES);
}

static uint64_t measure(void (*run)(pid_t child), unsigned int nr, pid_t child)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < RUNS; i++) {
		uint64_t begin = clock_now_ns(), ns;

		run(child);
		ns = (clock_now_ns() - begin) / nr;
		least = ns < least ? ns : least;
	}
	return least ?: 1;
}

static pid_t start_child(void)
{
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			pause();
	}
	if (pid > 0 && !ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_EXITKILL))
		return pid;
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/* On one CPU: to wake another one takes as long as its sleep is deep, some times as long as the work. */
static void measure_all(struct speed *speed)
{
	int cpu = sched_getcpu();
	cpu_set_t before, one;
	bool pinned;
	pid_t child;

	CPU_ZERO(&one);
	CPU_SET(cpu < 0 || cpu >= CPU_SETSIZE ? 0 : cpu, &one);
	pinned = !sched_getaffinity(0, sizeof(before), &before) &&
		 !sched_setaffinity(0, sizeof(one), &one);
	child = start_child();
	speed->process = measure(make_processes, PROCESSES, child);
	speed->file = measure(read_files, FILES, child);
	speed->mapping = measure(make_mappings, MAPPINGS, child);
	speed->stop = measure(stop_child, STOPS, child);
	speed->page = measure(write_pages, PAGES, child);
	if (child) {
		kill(child, SIGKILL);
		waitpid(child, NULL, __WALL);
	}
	if (pinned)
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
