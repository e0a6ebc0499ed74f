// SPDX-License-Identifier: GPL-2.0
/*
 * A program that shows whether its copy has run, even for microseconds, and a program that kills
 * CRIU.
 *
 *	bumper run FILE		counts in a shared mapping of FILE, with registers alone: no page of
 *				its private memory is needed. There are two counts: one while its
 *	parent
 *				is the one that it began with, one of the copy, which has another
 *	parent bumper count FILE	prints both
 *	bumper strike MOMENT US	waits for the CRIU that restores, and for MOMENT: "begun", or
 *	"traced",
 *				when CRIU traces the copy; kills CRIU US microseconds later
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GROUPS		"/sys/fs/cgroup"
#define GROUP		"migrate-helper-*-dest"
#define PIDS_MAX	64
#define STRIKE_MS	20000

static uint64_t *count_map(const char *path, int prot)
{
	int fd = open(path, O_RDWR);
	void *map;

	if (fd < 0)
		err(1, "%s", path);
	map = mmap(NULL, 4096, prot, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		err(1, "mmap of %s", path);
	close(fd);
	return map;
}

static _Noreturn void run(const char *path)
{
	uint64_t *count = count_map(path, PROT_READ | PROT_WRITE);
	long parent = getppid();

	for (;;) {
		long now = SYS_getppid;

		asm volatile("syscall\n\t"
			     "cmp %2, %0\n\t"
			     "setne %%al\n\t"
			     "movzx %%al, %%eax\n\t"
			     "lock incq (%1,%0,8)"
			     : "+a"(now) : "r"(count), "r"(parent)
			     : "rcx", "r11", "memory", "cc");
	}
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000UL + now.tv_nsec / 1000;
}

/* Return: false when no restore has begun */
static bool find_group(char *path, size_t size)
{
	DIR *dir = opendir(GROUPS);
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		found = !fnmatch(GROUP, entry->d_name, 0);
		if (found)
			snprintf(path, size, GROUPS "/%s/cgroup.procs", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static size_t group_pids(const char *path, pid_t *pids)
{
	FILE *file = fopen(path, "r");
	size_t nr = 0;

	while (file && nr < PIDS_MAX && fscanf(file, "%d", &pids[nr]) == 1)
		nr++;
	if (file)
		fclose(file);
	return nr;
}

/* CRIU traces others too, but these have no name of ours. */
static bool is_traced(pid_t pid)
{
	char path[32], line[256], name[32] = "";
	pid_t tracer = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Name: %31s", name) != 1 &&
		    sscanf(line, "TracerPid: %d", &tracer) == 1)
			break;
	}
	if (file)
		fclose(file);
	return tracer && !strcmp(name, "bumper");
}

static bool traces_some(const char *group)
{
	pid_t pids[PIDS_MAX];
	size_t nr = group_pids(group, pids);

	for (size_t i = 0; i < nr; i++)
		if (is_traced(pids[i]))
			return true;
	return false;
}

static void sleep_us(long us)
{
	struct timespec time = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	nanosleep(&time, NULL);
}

static void strike(const char *moment, long us)
{
	uint64_t until = now_us() + STRIKE_MS * 1000UL;
	char group[512];
	pid_t pids[PIDS_MAX], criu;

	while (!find_group(group, sizeof(group)) || !group_pids(group, pids))
		if (now_us() > until)
			errx(1, "no restore has begun");
	criu = pids[0];
	while (!strcmp(moment, "traced") && !traces_some(group))
		if (now_us() > until || kill(criu, 0))
			errx(1, "the copy was not seen");
	sleep_us(us);
	if (kill(criu, SIGKILL))
		errx(1, "CRIU has ended");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "run"))
		run(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "count")) {
		const uint64_t *count = count_map(argv[2], PROT_READ);

		printf("%lu %lu\n", count[0], count[1]);
	} else if (argc == 4 && !strcmp(argv[1], "strike")) {
		strike(argv[2], atol(argv[3]));
	} else {
		errx(2, "usage: see the source");
	}
	return 0;
}
