// SPDX-License-Identifier: GPL-2.0
/*
 * Ways from the memory of another task into a file: CPU of the process that takes them, and time.
 *
 *	predump_ways FILE [MIB [REPEATS]]
 *
 * The ways take turns; each begins with a new file and ends when the file is on the disk. Ways that this
 * machine lacks (the module, O_DIRECT on this file system) are left out by name.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "svm.h"
#include "sys.h"
#include "target.h"

#define RUNS_MAX	9

static struct target target;
static unsigned long addr;
static size_t bytes = 1UL << 30;
static size_t chunk;
static char *buffer;
static int mem_fd, device = -1, pipe_fds[2];

static void pass_on(int file, size_t at, ssize_t got)
{
	if (got != (ssize_t)chunk || pwrite(file, buffer, chunk, at) != (ssize_t)chunk)
		err(1, "at %zu", at);
}

static ssize_t readv_to(void *to, size_t at)
{
	struct iovec here = { to, chunk }, there = { (void *)(addr + at), chunk };

	return process_vm_readv(target.pid, &here, 1, &there, 1, 0);
}

static void by_readv(int file)
{
	for (size_t at = 0; at < bytes; at += chunk)
		pass_on(file, at, readv_to(buffer, at));
}

/* No memory of another task: what the file alone takes. */
static void by_nothing(int file)
{
	for (size_t at = 0; at < bytes; at += chunk)
		pass_on(file, at, chunk);
}

/* As CRIU does with what it has in pipes: pages by reference, of this process here, and one copy into the file. */
static void by_vmsplice(int file)
{
	for (size_t at = 0; at < bytes; at += chunk) {
		struct iovec part = { buffer, chunk };
		ssize_t got = vmsplice(pipe_fds[1], &part, 1, 0);

		if (got != (ssize_t)chunk)
			err(1, "vmsplice");
		while (got > 0) {
			ssize_t put = splice(pipe_fds[0], NULL, file, NULL, got, 0);

			if (put <= 0)
				err(1, "splice to the file");
			got -= put;
		}
	}
}

static void by_mem(int file)
{
	for (size_t at = 0; at < bytes; at += chunk)
		pass_on(file, at, pread(mem_fd, buffer, chunk, addr + at));
}

static void by_device_read(int file)
{
	for (size_t at = 0; at < bytes; at += chunk)
		pass_on(file, at, pread(device, buffer, chunk, addr + at));
}

/* A part of the file at a time: the mapping counts as memory of this process. */
static void by_mapping(int file)
{
	if (ftruncate(file, bytes))
		err(1, "ftruncate");
	for (size_t at = 0; at < bytes; at += chunk) {
		void *to = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_SHARED, file, at);

		if (to == MAP_FAILED || madvise(to, chunk, MADV_POPULATE_WRITE) ||
		    readv_to(to, at) != (ssize_t)chunk)
			err(1, "at %zu", at);
		munmap(to, chunk);
	}
}

/* By a pipe of our own: sendfile() refuses addresses above the largest file of the file system that it writes to. */
static void by_device(int file)
{
	loff_t pos = addr;

	while (pos < (loff_t)(addr + bytes)) {
		size_t left = addr + bytes - pos;
		ssize_t got = splice(device, &pos, pipe_fds[1], NULL, left < chunk ? left : chunk, 0);

		if (got <= 0)
			err(1, "splice at %#lx", (unsigned long)pos);
		while (got > 0) {
			ssize_t put = splice(pipe_fds[0], NULL, file, NULL, got, 0);

			if (put <= 0)
				err(1, "splice to the file");
			got -= put;
		}
	}
}

static struct way {
	const char *name;
	void (*run)(int file);
	size_t kib;
	int flags;
	bool device, lacks;
	double cpu[RUNS_MAX], time[RUNS_MAX];
} ways[] = {
	{ .name = "process_vm_readv, write", .run = by_readv, .kib = 1024 },
	{ .name = "process_vm_readv, write", .run = by_readv, .kib = 256 },
	{ .name = "process_vm_readv into a mapping of the file", .run = by_mapping, .kib = 1024 },
	{ .name = "pread of /proc/PID/mem, write", .run = by_mem, .kib = 256 },
	{ .name = "process_vm_readv, write with O_DIRECT", .run = by_readv, .kib = 256, .flags = O_DIRECT },
	{ .name = "process_vm_readv, write with O_DIRECT", .run = by_readv, .kib = 1024, .flags = O_DIRECT },
	{ .name = "pread of the device, write with O_DIRECT", .run = by_device_read, .kib = 1024, .flags = O_DIRECT, .device = true },
	{ .name = "the file alone: write", .run = by_nothing, .kib = 256 },
	{ .name = "the file alone: vmsplice, splice", .run = by_vmsplice, .kib = 256 },
	{ .name = "splice from the device", .run = by_device, .kib = 1024, .device = true },
	{ .name = "splice from the device, O_DIRECT", .run = by_device, .kib = 1024, .flags = O_DIRECT, .device = true },
};

#define WAYS	(sizeof(ways) / sizeof(*ways))

static double used(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void run_once(struct way *way, const char *name, int run)
{
	double cpu, time;
	int file;

	unlink(name);
	file = open(name, O_RDWR | O_CREAT | O_TRUNC | way->flags, 0600);
	if (file < 0 || (way->device && device < 0)) {
		way->lacks = true;
		return;
	}
	chunk = way->kib << 10;
	cpu = used();
	time = sys_now_ns() / 1e9;
	way->run(file);
	if (fsync(file))
		err(1, "fsync");
	way->cpu[run] = used() - cpu;
	way->time[run] = sys_now_ns() / 1e9 - time;
	close(file);
	unlink(name);
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return (one > other) - (one < other);
}

static void tell(struct way *way, int repeats)
{
	if (way->lacks) {
		printf("# %-46s %5zu KiB   not here\n", way->name, way->kib);
		return;
	}
	qsort(way->cpu, repeats, sizeof(double), compare);
	qsort(way->time, repeats, sizeof(double), compare);
	printf("# %-46s %5zu KiB %8.3f s CPU (%.3f to %.3f) %8.3f s\n", way->name, way->kib,
	       way->cpu[repeats / 2], way->cpu[0], way->cpu[repeats - 1], way->time[repeats / 2]);
}

int main(int argc, char **argv)
{
	int repeats = argc > 3 ? atoi(argv[3]) : 5;
	char path[64];

	if (argc < 2 || repeats < 1 || repeats > RUNS_MAX)
		errx(2, "usage: predump_ways FILE [MIB [REPEATS]]");
	if (argc > 2)
		bytes = strtoul(argv[2], NULL, 10) << 20;
	buffer = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	target_start(&target);
	addr = target_map(&target, bytes, MADV_NOHUGEPAGE);
	target_fill(&target, addr, bytes, 1);
	snprintf(path, sizeof(path), "/proc/%d/mem", target.pid);
	mem_fd = open(path, O_RDONLY);
	if (pipe(pipe_fds) || fcntl(pipe_fds[0], F_SETPIPE_SZ, 1 << 20) < 0)
		err(1, "pipe");
	if (!access("/dev/splice_vm", F_OK)) {
		device = svm_open_device();
		if (svm_attach(device, mem_fd, 0))
			errx(1, "ATTACH");
	}
	for (int run = 0; run < repeats; run++)
		for (size_t way = 0; way < WAYS; way++)
			run_once(&ways[way], argv[1], run);
	for (size_t way = 0; way < WAYS; way++)
		tell(&ways[way], repeats);
	target_stop(&target);
	return 0;
}
