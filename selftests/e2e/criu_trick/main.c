// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "os/proc.h"
#include "trick.h"

static int nr_tests, nr_failed;

bool ok(bool good, const char *fmt, ...)
{
	va_list args;

	printf("%sok %d - ", good ? "" : "not ", ++nr_tests);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	nr_failed += !good;
	return good;
}

void note(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

void die(const char *fmt, ...)
{
	va_list args;

	printf("Bail out! ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	exit(1);
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

static char state_of(pid_t pid)
{
	struct proc_status status;
	struct error err = { 0 };

	return proc_status_read(pid, &status, &err) ? '-' : status.state;
}

static void show_error(const struct session *s)
{
	if (error_is_set(&s->err))
		note("error %d: %s (%s)", s->err.code, s->err.what, s->err.hint);
}

/* Does @pid have a socket that listens? */
static bool listens(pid_t pid)
{
	char path[64], line[256], link[64], want[64];
	struct dirent *entry;
	bool found = false;
	DIR *fds;
	int nr = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	fds = opendir(path);
	while (fds && (entry = readdir(fds))) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);
		FILE *tcp;

		nr += entry->d_name[0] != '.';
		link[n > 0 ? n : 0] = '\0';
		for (int six = 0; six < 2; six++) {
			tcp = fopen(six ? "/proc/net/tcp6" : "/proc/net/tcp", "r");
			while (tcp && fgets(line, sizeof(line), tcp)) {
				unsigned long inode = 0;
				unsigned int state = 0;

				if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %*s %*s %lu",
					   &state, &inode) != 2)
					continue;
				snprintf(want, sizeof(want), "socket:[%lu]", inode);
				found |= state == 10 && !strcmp(want, link);
			}
			if (tcp)
				fclose(tcp);
		}
	}
	if (fds)
		closedir(fds);
	note("CRIU has %d descriptors", nr);
	return found;
}

static void test_target_is_well(const struct target *target, const char *when)
{
	ok(target_moves(target, 10000), "%s: the source goes on", when);
	ok(target_echoes(target), "%s: its TCP connection works", when);
	ok(!target_progress(target).corrupt, "%s: its memory is right", when);
	ok(strchr("SRD", state_of(target->pid)), "%s: its state is %c", when,
	   state_of(target->pid));
}

static bool test_held(struct session *s, const struct target *target, const char *what,
		      bool parent)
{
	int ret = session_dump(s, target, parent);

	show_error(s);
	if (!ok(!ret, "%s: dump is held", what))
		return false;
	/* a write on its way when it was frozen is done by now */
	sleep_ms(50);
	ok(!target_moves(target, 500), "%s: the source is frozen", what);
	ok(!listens(criu_dump_pid(s->dump)), "%s: CRIU listens on no port", what);
	return true;
}

static void test_refuse(const struct target *target, bool parent)
{
	const char *what = parent ? "refuse" : "refuse without parent";
	struct session s;
	pid_t criu;

	session_open(&s);
	if (!test_held(&s, target, what, parent))
		return;
	criu = criu_dump_pid(s.dump);
	ok(!criu_dump_refuse(s.dump, &s.err), "%s: refused", what);
	show_error(&s);
	ok(kill(criu, 0), "%s: CRIU is gone", what);
	test_target_is_well(target, what);
	session_close(&s);
}

static void test_criu_killed(const struct target *target)
{
	struct session s;

	session_open(&s);
	if (!test_held(&s, target, "kill -9 of CRIU", true))
		return;
	kill(criu_dump_pid(s.dump), SIGKILL);
	test_target_is_well(target, "kill -9 of CRIU");
	ok(!criu_dump_refuse(s.dump, &s.err), "refusing a dead CRIU is fine");
	session_close(&s);
}

/* Whoever holds the dump dies, as badly as can be. */
static void test_holder_killed(const struct target *target)
{
	struct session s;
	int pipes[2];
	pid_t holder, criu = 0;

	session_open(&s);
	if (pipe2(pipes, O_CLOEXEC))
		die("pipe: %m");
	holder = fork();
	if (!holder) {
		if (!session_dump(&s, target, true))
			criu = criu_dump_pid(s.dump);
		if (write(pipes[1], &criu, sizeof(criu)) > 0)
			pause();
		_exit(1);
	}
	close(pipes[1]);
	if (read(pipes[0], &criu, sizeof(criu)) != sizeof(criu) || !criu)
		die("the holder has no dump");
	close(pipes[0]);
	sleep_ms(50);
	ok(!target_moves(target, 500), "holder: the source is frozen");
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	test_target_is_well(target, "holder killed");
	for (int i = 0; i < 500 && !kill(criu, 0) && state_of(criu) != 'Z'; i++)
		sleep_ms(10);
	ok(kill(criu, 0) || state_of(criu) == 'Z', "holder killed: CRIU is gone");
	session_close(&s);
}

/* A dump that fails, after the freeze, for a reason of the task's. */
static void test_dump_fails(void)
{
	struct target_opts opts = { .mib = 4, .odd = true };
	struct target target;
	struct session s;

	target_start(&target, &opts);
	session_open(&s);
	ok(session_dump(&s, &target, true), "odd task: the dump fails");
	show_error(&s);
	ok(s.err.code == CODE_CRIU, "odd task: the error is CRIU's");
	ok(!s.dump, "odd task: no dump is left");
	test_target_is_well(&target, "odd task");
	session_close(&s);
	target_stop(&target);
}

static void test_no_such_task(void)
{
	struct target target = { .pid = 3999999 };
	struct session s;

	session_open(&s);
	ok(session_dump(&s, &target, true), "no task: the dump fails");
	show_error(&s);
	session_close(&s);
}

static int mirror_read(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf,
		       struct error *err)
{
	for (uint64_t i = 0; i < nr_pages; i++) {
		const char *page = mirror_page(ctx, addr + i * PAGE_BYTES);

		if (!page)
			return error_set(err, CODE_INTERNAL, NULL, "the mirror lacks %#lx",
					 addr + i * PAGE_BYTES);
		memcpy((char *)buf + i * PAGE_BYTES, page, PAGE_BYTES);
	}
	return 0;
}

static void mask_areas(const struct criu_task *task, uint64_t addr, char *a, char *b)
{
	for (size_t i = 0; i < task->nr_rseq; i++)
		for (uint32_t byte = 0; byte < task->rseq[i].bytes; byte++) {
			uint64_t at = task->rseq[i].addr + byte - addr;

			if (at < PAGE_BYTES)
				a[at] = b[at] = 0;
		}
}

/*
 * A page of the copy. One that is missing and lazy can only be had by process_vm_readv():
 * for /proc/PID/mem the kernel does not wait for a userfaultfd, and says EIO.
 */
static bool copy_read(const struct dest *dest, int mem_fd, uint64_t addr, char *page)
{
	struct iovec local = { page, PAGE_BYTES }, remote = { (void *)addr, PAGE_BYTES };

	if (page_set_has(&dest->lazy, addr))
		return process_vm_readv(dest->pid, &local, 1, &remote, 1, 0) == PAGE_BYTES;
	return pread(mem_fd, page, PAGE_BYTES, addr) == PAGE_BYTES;
}

/*
 * Of the lazy pages only every other is looked at: the rest is for the faults of the program
 * when it runs again; and none that the program itself could not read.
 */
static bool is_compared(const struct criu_task *task, const struct dest *dest, uint64_t addr)
{
	if (!page_set_has(&dest->lazy, addr))
		return true;
	return !(addr / PAGE_BYTES % 2) && maps_find(&task->vmas, addr)->prot & PROT_READ;
}

struct comparison {
	char source[PAGE_BYTES], copy[PAGE_BYTES];
	uint64_t compared, differ;
};

static void compare_page(struct comparison *c, const struct criu_task *task, uint64_t addr)
{
	mask_areas(task, addr, c->source, c->copy);
	c->compared++;
	if (!memcmp(c->source, c->copy, PAGE_BYTES))
		return;
	if (c->differ++ < 8)
		note("page %#lx differs", addr);
}

/* The populated pages of the frozen source against the stopped copy. */
static void test_compare(const struct criu_task *task, const struct pagemap *map,
			 const struct dest *dest, const struct target *target)
{
	struct comparison c = { 0 };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", dest->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < map->nr; i++)
		for (uint64_t page = 0; page < map->entries[i].nr_pages; page++) {
			uint64_t addr = map->entries[i].addr + page * PAGE_BYTES;

			if (!is_compared(task, dest, addr))
				continue;
			if (pread(target->mem_fd, c.source, PAGE_BYTES, addr) != PAGE_BYTES ||
			    !copy_read(dest, fd, addr, c.copy))
				die("page %#lx: %m", addr);
			compare_page(&c, task, addr);
		}
	close(fd);
	ok(!c.differ, "memory is the same: %lu pages compared, %lu differ", c.compared,
	   c.differ);
}

static void read_signals(pid_t pid, char *text, size_t room)
{
	char path[64], line[256];
	size_t at = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "Sig", 3) && strncmp(line, "SigQ", 4) &&
		    strncmp(line, "SigPnd", 6))
			at += snprintf(text + at, room - at, "%s", line);
	if (file)
		fclose(file);
}

static void test_signals(pid_t source, pid_t copy)
{
	char a[512] = "", b[512] = "";

	read_signals(source, a, sizeof(a));
	read_signals(copy, b, sizeof(b));
	if (!ok(*a && !strcmp(a, b), "signal masks and dispositions are the same"))
		note("source %s copy %s", a, b);
}

static void fresh_fill(struct page_set *fresh, const struct pagemap *map)
{
	struct error err = { 0 };

	for (size_t i = 0; i < map->nr; i++)
		if (map->entries[i].flags == PAGEMAP_LAZY &&
		    page_set_add(fresh, map->entries[i].addr, map->entries[i].nr_pages, &err))
			die("page_set_add: %s", err.what);
}

static void test_runs_on(const struct target *target, struct dest *dest, bool stopped)
{
	struct error err = { 0 };

	uint64_t passes = target_progress(target).passes, start = now_ms();

	sleep_ms(200);
	ok(!target_moves(target, 500), "the copy does not run before it is told to");
	ok(!cgroup_thaw(&dest->group, &err), "the copy is thawed");
	if (stopped) {
		ok(!target_moves(target, 500), "the copy of a stopped task is stopped");
		ok(state_of(dest->pid) == 'T', "its state is %c", state_of(dest->pid));
		kill(dest->pid, SIGCONT);
	}
	ok(target_moves(target, 10000), "the copy runs");
	while (target_progress(target).passes < passes + 3 && now_ms() - start < 120000)
		sleep_ms(50);
	ok(target_progress(target).passes >= passes + 3, "the copy makes three passes");
	ok(!target_progress(target).corrupt, "the copy finds its memory right");
	note("%lu faults: %lu pages from the mirror, %lu from the source, %lu from nowhere",
	     dest->faults, dest->from_mirror, dest->from_source, dest->from_nowhere);
	ok(dest->from_mirror && dest->from_source, "pages came from both");
}

static void test_restore(struct session *s, const struct target *target,
			 const struct mirror *mirror, const struct criu_task *task,
			 const struct pagemap *map)
{
	struct dest dest = { .mirror = mirror, .source_mem_fd = target->mem_fd };
	struct criu_pages pages = { .read = mirror_read, .ctx = (void *)mirror };
	int ret;

	page_set_init(&dest.lazy);
	page_set_init(&dest.fresh);
	fresh_fill(&dest.fresh, map);
	ret = criu_rewrite(s->images_fd, task, &pages, &dest.lazy, &s->err);
	show_error(s);
	if (!ok(!ret, "images are rewritten: %lu lazy pages", dest.lazy.nr))
		return;
	ok(dest.lazy.nr <= map->lazy + map->parent &&
	   dest.lazy.nr + 1000 > map->lazy + map->parent, "nearly all is lazy");
	ret = dest_restore(&dest, s);
	show_error(s);
	if (ok(!ret, "restored")) {
		ok(!cgroup_wait_frozen(&dest.group, &s->err), "the copy is frozen");
		ok(dest.finished, "CRIU said that it had finished");
		test_signals(target->pid, dest.pid);
		test_compare(task, map, &dest, target);
		test_runs_on(target, &dest, task->was_stopped);
		ok(state_of(target->pid) == 't' || state_of(target->pid) == 'T',
		   "the source is still frozen: %c", state_of(target->pid));
	}
	dest_stop(&dest);
	page_set_destroy(&dest.lazy);
	page_set_destroy(&dest.fresh);
}

static void test_migrate(unsigned int mib, bool stopped)
{
	struct target_opts opts = { .mib = mib };
	struct criu_task task;
	struct target target;
	struct mirror mirror;
	struct pagemap map;
	struct session s;

	note("migrate %u MiB%s", mib, stopped ? ", stopped" : "");
	target_start(&target, &opts);
	session_open(&s);
	mirror_copy(&mirror, &target);
	if (stopped) {
		sleep_ms(100);
		kill(target.pid, SIGSTOP);
	}
	if (!test_held(&s, &target, "migrate", true))
		return;
	pagemap_load(&map, s.images_fd, target.pid);
	ok(map.parent > mib * 200, "CRIU skipped what is clean: %lu pages", map.parent);
	ok(map.present < 300, "few pages are in the images: %lu", map.present);
	if (criu_task_read(s.images_fd, target.pid, &task, &s.err))
		die("%s", s.err.what);
	ok(task.pid == target.pid && task.nr_threads == 2, "the images have both threads");
	ok(task.was_stopped == stopped, "the images know if it was stopped");
	test_restore(&s, &target, &mirror, &task, &map);
	criu_task_free(&task);
	pagemap_free(&map);
	mirror_free(&mirror);
	/* as long as CRIU traces it its parent cannot reap it */
	kill(target.pid, SIGKILL);
	criu_dump_kill(s.dump);
	target_stop(&target);
	session_close(&s);
}

static void test_criu(void)
{
	struct criu_version version = { 0 };
	struct error err = { 0 };

	int ret = criu_version_get(&version, &err);

	ok(!ret, "CRIU's version is %d.%d.%d", version.major, version.minor, version.sublevel);
	ret = criu_check(&err);
	ok(!ret, "CRIU works here: %s", err.what);
}

int main(int argc, char **argv)
{
	struct target_opts opts = { .mib = 64 };
	struct target target;

	if (argc > 5 && !strcmp(argv[1], "target"))
		return target_main(argv);
	/* as the helper does: it must not be handed down */
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_criu();
	test_no_such_task();
	target_start(&target, &opts);
	test_refuse(&target, true);
	test_refuse(&target, false);
	test_criu_killed(&target);
	test_holder_killed(&target);
	target_stop(&target);
	test_dump_fails();
	test_migrate(argc > 1 ? strtoul(argv[1], NULL, 10) : 256, false);
	test_migrate(16, true);
	printf("1..%d\n", nr_tests);
	return nr_failed ? 1 : 0;
}
