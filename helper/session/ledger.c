// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"
#include "os/safe_dir.h"
#include "session/ledger.h"

#define STATE_LINE	"state %-10s\n"
#define STATE_BYTES	17		/* of that line */
#define ENTRY_BYTES	1024
#define KEPT_SECONDS	(7 * 24 * 3600)
#define KEPT_ENDED	1000
#define NAME_BYTES	64
#define WRITE_MS	2000	/* for a disk */
#define HINT		"free the disk, or choose another directory with --ledger DIR"

static const char *const states[] = {
	[LEDGER_PREPARED] = "PREPARED", [LEDGER_COMMITTED] = "COMMITTED", [LEDGER_STARTED] = "STARTED",
	[LEDGER_ABORTED] = "ABORTED", [LEDGER_DONE] = "DONE", [LEDGER_ENDED] = "ENDED",
};
static const char *const sides[] = { [LEDGER_SOURCE] = "source", [LEDGER_DEST] = "dest" };

const char *ledger_state_name(enum ledger_state state)
{
	return states[state];
}

static bool has_ended(enum ledger_state state)
{
	return state >= LEDGER_ABORTED;
}

static void read_boot(char boot[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, boot, 39);

	boot[n < 0 ? 0 : n] = 0;
	boot[strcspn(boot, "\n")] = 0;
	if (fd >= 0)
		close(fd);
}

/* Return: the index of @word in @names; -1: none */
static int find_word(const char *const *names, size_t nr, const char *word)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(names[i], word))
			return i;
	return -1;
}

/* The name is ID-source or ID-dest. Return: false when it is none */
static bool parse_name(const char *name, struct ledger_entry *entry)
{
	size_t digits = strspn(name, "0123456789abcdef");
	int side = digits == LEDGER_ID_BYTES - 1 && name[digits] == '-' ?
		   find_word(sides, sizeof(sides) / sizeof(*sides), name + digits + 1) : -1;

	if (side < 0)
		return false;
	entry->side = side;
	memcpy(entry->id, name, digits);
	entry->id[digits] = 0;
	return true;
}

static void take_line(struct ledger_entry *entry, const char *line, bool *has_state)
{
	const char *value = strchr(line, ' ');
	int state;

	if (!value++)
		return;
	if (!strncmp(line, "state ", 6)) {
		char word[16];

		state = sscanf(value, "%15s", word) == 1 ? find_word(states, sizeof(states) / sizeof(*states), word) : -1;
		*has_state = state >= 0;
		entry->state = state < 0 ? 0 : state;
	} else if (!strncmp(line, "boot ", 5)) {
		snprintf(entry->boot, sizeof(entry->boot), "%s", value);
	} else if (!strncmp(line, "pid ", 4)) {
		entry->pid = atoi(value);
	} else if (!strncmp(line, "start ", 6)) {
		entry->start_ticks = strtoull(value, NULL, 10);
	} else if (!strncmp(line, "began ", 6)) {
		entry->began = strtoll(value, NULL, 10);
	} else if (!strncmp(line, "program ", 8)) {
		snprintf(entry->program, sizeof(entry->program), "%s", value);
	} else if (!strncmp(line, "peer ", 5)) {
		snprintf(entry->peer, sizeof(entry->peer), "%s", value);
	}
}

/* Return: false when it is no entry */
static bool read_entry(int fd, struct ledger_entry *entry)
{
	char text[ENTRY_BYTES + 1], boot[40], *save = NULL;
	ssize_t n = pread(fd, text, ENTRY_BYTES, 0);
	bool has_state = false;

	if (n <= 0)
		return false;
	text[n] = 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take_line(entry, line, &has_state);
	read_boot(boot);
	entry->rebooted = strcmp(boot, entry->boot);
	return has_state && *entry->boot;
}

/* Return: a descriptor of an entry of this directory that was read, or -1 */
static int open_entry(int dir_fd, const char *name, struct ledger_entry *entry)
{
	struct stat st;
	int fd;

	*entry = (struct ledger_entry){ 0 };
	if (!parse_name(name, entry))
		return -1;
	fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || !read_entry(fd, entry)) {
		close(fd);
		return -1;
	}
	entry->lives = flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

static int each_in(int dir_fd, ledger_fn fn, void *ctx)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *name;
	int ret = 0;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && !ret && (name = readdir(dir))) {
		struct ledger_entry entry;
		int entry_fd = open_entry(dir_fd, name->d_name, &entry);

		if (entry_fd < 0)
			continue;
		/* the lock is not held while the caller looks */
		close(entry_fd);
		ret = fn(ctx, &entry);
	}
	if (dir)
		closedir(dir);
	return ret;
}

int ledger_each(const char *base, ledger_fn fn, void *ctx)
{
	struct error ignored = { 0 };
	int dir_fd = safe_dir_open(base ?: LEDGER_BASE, false, &ignored), ret;

	if (dir_fd < 0)
		return 0;
	ret = each_in(dir_fd, fn, ctx);
	close(dir_fd);
	return ret;
}

static void entry_name(const char *id, enum ledger_side side, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s-%s", id, sides[side]);
}

/**
 * struct pruning - a walk over the entries that may go
 * @before: those that began earlier go; 0: none does
 * @oldest: the one that began first, of those that have ended
 */
struct pruning {
	int dir_fd;
	int64_t before;
	size_t nr;
	struct ledger_entry oldest;
};

static int prune_one(void *ctx, const struct ledger_entry *entry)
{
	struct pruning *pruning = ctx;
	char name[NAME_BYTES];

	if (entry->lives || !(has_ended(entry->state) || entry->state == LEDGER_PREPARED))
		return 0;
	if (entry->began < pruning->before) {
		entry_name(entry->id, entry->side, name);
		unlinkat(pruning->dir_fd, name, 0);
		return 0;
	}
	if (!pruning->nr++ || entry->began < pruning->oldest.began)
		pruning->oldest = *entry;
	return 0;
}

/* What stays out of this: entries in which something is to be decided, which a person has to see. */
static void prune(int dir_fd)
{
	struct pruning pruning = { .dir_fd = dir_fd, .before = time(NULL) - KEPT_SECONDS };
	char name[NAME_BYTES];

	each_in(dir_fd, prune_one, &pruning);
	if (pruning.nr < KEPT_ENDED)
		return;
	entry_name(pruning.oldest.id, pruning.oldest.side, name);
	unlinkat(dir_fd, name, 0);
}

/* One line each: a name is what the program, or the other end, chose. */
static void plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static int write_entry(int fd, const struct ledger_entry *from)
{
	struct ledger_entry entry = *from;
	char text[ENTRY_BYTES];
	int bytes;

	read_boot(entry.boot);
	plain(entry.program);
	plain(entry.peer);
	bytes = snprintf(text, sizeof(text),
			 STATE_LINE "boot %s\npid %d\nstart %" PRIu64 "\nbegan %" PRId64 "\nprogram %s\npeer %s\n",
			 states[entry.state], entry.boot, entry.pid, entry.start_ticks, (int64_t)time(NULL),
			 entry.program, entry.peer);
	return io_write_all(fd, text, bytes) || fsync(fd) ? -1 : 0;
}

/* Of a migration with the same id that is over: a source may use one again. What is not settled stays. */
static void forget_ended(int dir_fd, const char *name)
{
	struct ledger_entry entry;
	int fd = open_entry(dir_fd, name, &entry);

	if (fd >= 0 && !entry.lives && (has_ended(entry.state) || entry.state == LEDGER_PREPARED))
		unlinkat(dir_fd, name, 0);
	if (fd >= 0)
		close(fd);
}

int ledger_begin(struct ledger *ledger, const char *base, const struct ledger_entry *entry, struct error *err)
{
	int dir_fd = safe_dir_open(base ?: LEDGER_BASE, true, err);
	char name[NAME_BYTES];

	ledger->fd = 0;
	if (dir_fd < 0)
		return -1;
	prune(dir_fd);
	entry_name(entry->id, entry->side, name);
	forget_ended(dir_fd, name);
	ledger->fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (ledger->fd < 0 || flock(ledger->fd, LOCK_SH) || write_entry(ledger->fd, entry) || fsync(dir_fd)) {
		error_errno(err, CODE_NOT_READY, HINT, "cannot write %s in the ledger %s", name, base ?: LEDGER_BASE);
		if (ledger->fd > 0)
			unlinkat(dir_fd, name, 0);
		ledger_close(ledger);
	}
	close(dir_fd);
	return ledger->fd ? 0 : -1;
}

static int put_state(int fd, enum ledger_state state)
{
	char line[STATE_BYTES + 1];

	snprintf(line, sizeof(line), STATE_LINE, states[state]);
	return pwrite(fd, line, STATE_BYTES, 0) == STATE_BYTES && !fdatasync(fd) ? 0 : -1;
}

/* The child's: it has no connection and no userfaultfd that a disk could keep open. */
static void write_and_exit(int fd, enum ledger_state state)
{
	if (fd > 3)
		close_range(3, fd - 1, 0);
	close_range(fd + 1, ~0U, 0);
	_exit(put_state(fd, state) ? errno : 0);
}

/*
 * A process that waits for a disk in fdatasync() waits as long as the disk does, and SIGKILL does not end it; the program may
 * stand meanwhile. So a child writes, which is left alone after WRITE_MS. No signal comes at the child's end: a keeper takes
 * SIGCHLD for the end of the program's init.
 */
static int put_in_time(int fd, enum ledger_state state)
{
	int pidfd = -1;
	/* as after fork() in a program with threads: the child makes system calls alone */
	pid_t pid = syscall(SYS_clone, CLONE_PIDFD, NULL, &pidfd, NULL, NULL);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	siginfo_t info = { 0 };
	int ready;

	if (!pid)
		write_and_exit(fd, state);
	if (pid < 0)
		return -1;
	ended.fd = pidfd;
	do
		ready = poll(&ended, 1, WRITE_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	else
		waitid(P_PIDFD, pidfd, &info, WEXITED | __WALL);
	close(pidfd);
	errno = ready <= 0 ? ETIMEDOUT : info.si_status;
	return ready > 0 && info.si_code == CLD_EXITED && !info.si_status ? 0 : -1;
}

int ledger_set(const struct ledger *ledger, enum ledger_state state, struct error *err)
{
	if (!ledger->fd || !put_in_time(ledger->fd, state))
		return 0;
	return error_errno(err, CODE_INTERNAL, HINT, "cannot write state %s in the ledger", states[state]);
}

void ledger_let_go(const struct ledger *ledger)
{
	if (ledger->fd)
		flock(ledger->fd, LOCK_UN);
}

void ledger_close(struct ledger *ledger)
{
	if (ledger->fd > 0)
		close(ledger->fd);
	ledger->fd = 0;
}

int ledger_settle(const char *base, const char *id, enum ledger_side side, enum ledger_state state, struct error *err)
{
	int dir_fd = safe_dir_open(base ?: LEDGER_BASE, false, err), fd;
	struct ledger_entry entry;
	char name[NAME_BYTES];

	if (dir_fd < 0)
		return -1;
	entry_name(id, side, name);
	fd = open_entry(dir_fd, name, &entry);
	close(dir_fd);
	if (fd < 0)
		return error_set(err, CODE_TARGET, "\"migrate-helper status\" lists migrations by their ids",
				 "the ledger has no migration %s", name);
	if (entry.lives)
		error_set(err, CODE_NOT_READY, "wait for it, or end it first", "a migrate-helper still looks after migration %s", id);
	else if (put_state(fd, state))
		error_errno(err, CODE_INTERNAL, HINT, "cannot write state %s in the ledger", states[state]);
	close(fd);
	return error_is_set(err) ? -1 : 0;
}
