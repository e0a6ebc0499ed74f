// SPDX-License-Identifier: GPL-2.0
/*
 * A program with state that a move can lose.
 *
 *	lossy PIDFILE THING[=ARGUMENT]...
 *
 * It sets up each thing, writes its pid to PIDFILE and waits. On SIGUSR1 it opens the file of
 * "late", or maps huge pages ("late-hugetlb[=shared]"). On SIGUSR2 it accepts one connection of "listener"
 * and answers with a word. On SIGHUP it writes a line to its standard output and to each of its
 * servers.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/mempolicy.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "lossy.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif

static const char *pid_path;
static volatile sig_atomic_t got_usr1, got_usr2, got_hup;

static void own_pipe(const char *arg)
{
	int fds[2];

	must(pipe(fds), "pipe");
	must(write(fds[1], "x", 1), "write");
}

static void fifo(const char *arg)
{
	must(open(arg, O_WRONLY), arg);
}

void leave_parent(int fd)
{
	pid_t pid = fork();

	must(pid, "fork");
	if (pid) {
		close(fd);
		for (;;)
			pause();
	}
	must(setsid(), "setsid");
}

/* Both ends of a pty; with an argument it is the controlling terminal, too. */
static void own_pty(const char *arg)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

	must(master, "posix_openpt");
	must(grantpt(master), "grantpt");
	must(unlockpt(master), "unlockpt");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	must(slave, "slave");
	if (arg)
		must(ioctl(slave, TIOCSCTTY, 0), "TIOCSCTTY");
	lossy_add_server(slave);
}

static void *shared_page(void)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		err(1, "mmap");
	return map;
}

static void own_memory(const char *arg)
{
	shared_page();
}

static void shared_memory(const char *arg)
{
	shared_page();
	leave_parent(-1);
}

/* The parent has it open and not mapped, the program has it mapped and not open. */
static void shared_memfd(const char *arg)
{
	int fd = memfd_create("lossy", 0);

	must(fd, "memfd_create");
	must(ftruncate(fd, 4096), "ftruncate");
	leave_parent(-1);
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
		err(1, "mmap");
	close(fd);
}

/* The parent stays in the namespace of the program. */
static void shared_ipc(const char *arg)
{
	must(unshare(CLONE_NEWIPC), "unshare");
	leave_parent(-1);
}

static void pidfd(const char *arg)
{
	must(syscall(SYS_pidfd_open, arg ? getppid() : getpid(), 0), "pidfd_open");
}

static void perf(const char *arg)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY,
	};

	must(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), "perf_event_open");
}

static void landlock(const char *arg)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE };

	must(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), "landlock");
}

#define HUGE	(2UL << 20)

static char *huge[3];

static void hugetlb(const char *arg)
{
	for (int i = 0; i < 3; i++) {
		huge[i] = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
			       (arg ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		if (huge[i] == MAP_FAILED)
			err(1, "mmap of a huge page");
		for (size_t at = 0; at < HUGE; at += 512)
			huge[i][at] = at / 512 + i + 1;
		/* so that they do not become one mapping */
		must(mprotect(huge[i], HUGE, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE),
		     "mprotect");
	}
}

/* Once: it leaves another byte, to see that the pages can be written to. */
static bool huge_pages_are_right(void)
{
	for (int i = 0; i < 3 && huge[i]; i++)
		for (size_t at = 0; at < HUGE; at++)
			if (huge[i][at] != (at % 512 ? 0 : (char)(at / 512 + i + 1)))
				return false;
	if (huge[0])
		huge[0][0]++;
	return true;
}

static bool huge_is_late;
static const char *late_huge;

static void late_hugetlb(const char *arg)
{
	huge_is_late = true;
	late_huge = arg;
}

static void child(const char *arg)
{
	pid_t pid = fork();

	must(pid, "fork");
	while (!pid)
		pause();
}

static void write_pid(void)
{
	FILE *pid_file = fopen(pid_path, "w");

	if (!pid_file)
		err(1, "%s", pid_path);
	fprintf(pid_file, "%d\n", getpid());
	fclose(pid_file);
}

static void *without_main(void *arg)
{
	char line[64] = "";

	while (!strstr(line, ") Z ")) {
		FILE *stat = fopen("/proc/self/stat", "r");

		if (!stat || !fgets(line, sizeof(line), stat))
			err(1, "/proc/self/stat");
		fclose(stat);
	}
	write_pid();
	for (;;)
		pause();
}

/* The rest of the program runs in another thread. */
static void main_ended(const char *arg)
{
	pthread_t thread;

	must(-pthread_create(&thread, NULL, without_main, NULL), "pthread_create");
	syscall(SYS_exit, 0);
}

static void *one_page(void)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		err(1, "mmap");
	*(char *)map = 1;
	return map;
}

static void policy(const char *arg)
{
	unsigned long nodes = 1;

	must(syscall(SYS_mbind, one_page(), 4096, MPOL_BIND, &nodes, 64, 0), "mbind");
}

static void wipe(const char *arg)
{
	must(madvise(one_page(), 4096, MADV_WIPEONFORK), "madvise");
}

static void lock_all(const char *arg)
{
	must(mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
}

static void prctls(const char *arg)
{
	must(prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0), "PR_SET_IO_FLUSHER");
	must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0), "PR_MCE_KILL");
}

static void ambient(const char *arg)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	must(syscall(SYS_capget, &head, data), "capget");
	data[0].inheritable |= 1U << CAP_NET_RAW;
	must(syscall(SYS_capset, &head, data), "capset");
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), "PR_CAP_AMBIENT");
}

static void audit(const char *arg)
{
	int fd = open("/proc/self/loginuid", O_WRONLY);

	must(fd, "loginuid");
	must(write(fd, "1000", 4), "loginuid");
	close(fd);
}

/* Neither of files nor of sockets. */
static const struct lossy_thing lossy_others[] = {
	{ "own-pipe", own_pipe },
	{ "fifo", fifo },
	{ "own-memory", own_memory },
	{ "shared-memory", shared_memory },
	{ "shared-memfd", shared_memfd },
	{ "shared-ipc", shared_ipc },
	{ "hugetlb", hugetlb },
	{ "late-hugetlb", late_hugetlb },
	{ "child", child },
	{ "main-ended", main_ended },
	{ "policy", policy },
	{ "wipe", wipe },
	{ "lock-all", lock_all },
	{ "prctls", prctls },
	{ "ambient", ambient },
	{ "audit", audit },
	{ "pidfd", pidfd },
	{ "perf", perf },
	{ "landlock", landlock },
	{ "pty", own_pty },
	{ 0 },
};

static const struct lossy_thing *const tables[] = { lossy_files, lossy_sockets, lossy_others };

static void set_thing(char *text)
{
	char *arg = strchr(text, '=');

	if (arg)
		*arg++ = 0;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct lossy_thing *thing = tables[i]; thing->name; thing++)
			if (!strcmp(thing->name, text)) {
				thing->set(arg);
				return;
			}
	errx(2, "unknown thing: %s", text);
}

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		got_usr1 = 1;
	else if (sig == SIGHUP)
		got_hup = 1;
	else
		got_usr2 = 1;
}

/* Whatever became of a descriptor, the program goes on. */
static void say(void)
{
	const char *line = huge_pages_are_right() ? "still here\n" : "huge pages are wrong\n";

	if (write(1, line, strlen(line)) < 0)
		warn("standard output");
	lossy_tell_servers(line);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: lossy PIDFILE THING[=ARGUMENT]...");
	pid_path = argv[1];
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	signal(SIGHUP, on_signal);
	for (int i = 2; i < argc; i++)
		set_thing(argv[i]);
	/* its errors may have gone to a file that is open for writing */
	dup2(open("/dev/null", O_WRONLY), 2);
	write_pid();
	for (;;) {
		pause();
		if (got_usr1 && huge_is_late)
			hugetlb(late_huge);
		else if (got_usr1)
			lossy_open_late();
		if (got_usr2)
			lossy_serve_one();
		if (got_hup)
			say();
		got_usr1 = got_usr2 = got_hup = 0;
	}
}
