// SPDX-License-Identifier: GPL-2.0
/*
 * A program with a limit (RLIMIT_*) that writes its memory all the time.
 *
 *	limited serve PORT MIB MODE...	each connection is told, in one line: passes over the
 *	memory,
 *					wrong pages, SIGCONTs seen, whether one is pending, a signal
 *					that its timer has sent so often, the limit that it has now,
 *					SIGBUS seen
 *	limited ask HOST PORT		prints that line; fails after 2 s
 *
 * MODE: a limit and its value, as "fsize 4096": fsize, as, nproc, nofile, stack, data, memlock,
 * cpu. "as+" and "data+" count from what the program has. "uid N" changes the user first, "block"
 * blocks SIGCONT, "timer" starts one that sends SIGALRM every 50 ms. "huge", the first one, asks for huge pages.
 * "bus N" has N pages more, in a mapping of code, which each connection touches: that may be SIGBUS, or they are
 * right, or wrong. "guard N" has N guard pages (Linux 6.13).
 */
#include <arpa/inet.h>
#include <err.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PAGE_WORDS	512
#define GUARD_INSTALL	102	/* MADV_GUARD_INSTALL of Linux 6.13 */

static volatile sig_atomic_t conts, alarms;
static uint64_t passes, wrong;
static int shown = -1;

/* Pages that may go bad. */
static volatile uint64_t *frail;
static uint64_t frail_pages, buses;
static sigjmp_buf past_it;

static void on_signal(int sig)
{
	if (sig == SIGCONT)
		conts++;
	else
		alarms++;
}

static void on_bus(int sig)
{
	siglongjmp(past_it, 1);
}

/* Behind a page that is there. */
static void make_guards(uint64_t pages)
{
	char *at = mmap(NULL, (pages + 1) * PAGE_WORDS * 8, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	*at = 1;
	if (madvise(at + PAGE_WORDS * 8, pages * PAGE_WORDS * 8, GUARD_INSTALL))
		err(1, "guard pages");
}

static void make_frail(uint64_t pages)
{
	frail_pages = pages;
	frail = mmap(NULL, pages * PAGE_WORDS * 8, PROT_READ | PROT_WRITE | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (frail == MAP_FAILED)
		err(1, "mmap");
	for (uint64_t i = 0; i < pages; i++)
		frail[i * PAGE_WORDS] = i + 1;
	signal(SIGBUS, on_bus);
}

static void touch_frail(void)
{
	for (volatile uint64_t i = 0; i < frail_pages; i++)
		if (sigsetjmp(past_it, 1))
			buses++;
		else if (frail[i * PAGE_WORDS] != i + 1)
			wrong++;
}

static uint64_t status_kib(const char *key)
{
	FILE *file = fopen("/proc/self/status", "r");
	uint64_t kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoull(line + strlen(key), NULL, 10);
	if (file)
		fclose(file);
	return kib;
}

static const struct {
	const char *name, *counted;
	int limit;
} modes[] = {
	{ "fsize", NULL, RLIMIT_FSIZE }, { "as", NULL, RLIMIT_AS },
	{ "as+", "VmSize:", RLIMIT_AS }, { "nproc", NULL, RLIMIT_NPROC },
	{ "nofile", NULL, RLIMIT_NOFILE }, { "stack", NULL, RLIMIT_STACK },
	{ "data", NULL, RLIMIT_DATA }, { "data+", "VmData:", RLIMIT_DATA },
	{ "memlock", NULL, RLIMIT_MEMLOCK }, { "cpu", NULL, RLIMIT_CPU },
};

static bool mode_limit(const char *name, uint64_t value)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		struct rlimit limit;

		if (strcmp(modes[i].name, name))
			continue;
		if (modes[i].counted)
			value += status_kib(modes[i].counted) * 1024;
		limit.rlim_cur = limit.rlim_max = value;
		if (setrlimit(modes[i].limit, &limit))
			err(1, "limit %s", name);
		shown = modes[i].limit;
		return true;
	}
	return false;
}

static void mode_set(const char *name, const char *value)
{
	struct itimerval often = { { 0, 50000 }, { 0, 50000 } };
	sigset_t set;

	if (!strcmp(name, "block")) {
		sigemptyset(&set);
		sigaddset(&set, SIGCONT);
		sigprocmask(SIG_BLOCK, &set, NULL);
	} else if (!strcmp(name, "timer")) {
		signal(SIGALRM, on_signal);
		setitimer(ITIMER_REAL, &often, NULL);
	} else if (!strcmp(name, "uid")) {
		if (setresuid(atoi(value), atoi(value), atoi(value)))
			err(1, "uid");
	} else if (!strcmp(name, "bus")) {
		make_frail(strtoul(value, NULL, 10));
	} else if (!strcmp(name, "guard")) {
		make_guards(strtoul(value, NULL, 10));
	} else if (strcmp(name, "huge") && !mode_limit(name, strtoull(value, NULL, 10))) {
		errx(1, "mode %s", name);
	}
}

static void tell(int listener)
{
	int fd = accept(listener, NULL, NULL);
	struct rlimit limit = { 0 };
	sigset_t pending;

	if (fd < 0)
		return;
	touch_frail();
	sigpending(&pending);
	if (shown >= 0)
		getrlimit(shown, &limit);
	dprintf(fd, "%lu %lu %d %d %d %lu %lu\n", passes, wrong, conts,
		sigismember(&pending, SIGCONT), alarms > 0, limit.rlim_cur, buses);
	close(fd);
}

static int listen_on(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		err(1, "port %d", port);
	return fd;
}

/* Each page says which one it is, and in which pass it was written. */
static void pass_over(uint64_t *memory, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t *page = memory + i * PAGE_WORDS;

		if (page[0] != i + 1 || page[1] != passes)
			wrong++;
		page[0] = i + 1;
		page[1] = passes + 1;
	}
	passes++;
}

static int serve(int port, uint64_t pages, char **mode)
{
	struct pollfd pfd = { .fd = listen_on(port), .events = POLLIN };
	uint64_t *memory;

	memory = mmap(NULL, pages * PAGE_WORDS * 8, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	if (mode[0] && !strcmp(mode[0], "huge") && madvise(memory, pages * PAGE_WORDS * 8, MADV_HUGEPAGE))
		err(1, "huge pages");
	for (uint64_t i = 0; i < pages; i++)
		memory[i * PAGE_WORDS] = i + 1;
	signal(SIGCONT, on_signal);
	for (; mode[0]; mode += mode[1] ? 2 : 1)
		mode_set(mode[0], mode[1]);
	for (;;) {
		pass_over(memory, pages);
		while (poll(&pfd, 1, 1) > 0)
			tell(pfd.fd);
	}
}

static int ask(const char *host, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval limit = { .tv_sec = 2 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char line[128];
	ssize_t n;

	inet_pton(AF_INET, host, &at.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return 1;
	n = read(fd, line, sizeof(line));
	if (n <= 0)
		return 1;
	return write(1, line, n) != n;
}

int main(int argc, char **argv)
{
	/* a client that gave up while the program stood */
	signal(SIGPIPE, SIG_IGN);
	if (argc >= 4 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]), strtoul(argv[3], NULL, 10) * 256, argv + 4);
	if (argc == 4 && !strcmp(argv[1], "ask"))
		return ask(argv[2], atoi(argv[3]));
	errx(2, "usage: see the source");
}
