// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/io.h"
#include "os/ns_pids.h"
#include "os/proc.h"

#define PF_KTHREAD	0x00200000
#define PF_EXITING	0x00000004

bool proc_is_gone(int error)
{
	return error == ENOENT || error == ESRCH;
}

bool proc_is_short(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/*
 * By read(), since the C library asks for the state of the file first, and once more for its end. The kernel fills a
 * page with whole records, and none of these texts has a record of half a page but those that are one record: a
 * shorter piece is the last.
 */
static char *read_text(int fd)
{
	size_t cap = PROC_TEXT_BYTES, nr = 0;
	char *text = malloc(cap), *more;
	ssize_t n = 1;

	while (text && n) {
		if (nr + 1 == cap) {
			cap *= 2;
			more = realloc(text, cap);
			if (!more)
				break;
			text = more;
		}
		n = read(fd, text + nr, cap - 1 - nr);
		if (n < 0)
			break;
		nr += n;
		if (n < PROC_TEXT_BYTES / 2)
			n = 0;
	}
	if (text && !n) {
		text[nr] = 0;
		return text;
	}
	free(text);
	return NULL;
}

char *proc_text(pid_t pid, const char *name)
{
	char path[64], *text;
	int fd, saved;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	else
		snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	text = read_text(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return text;
}

static char *take_text(pid_t pid, const char *name, struct error *err)
{
	char *text = proc_text(pid, name);

	if (!text && proc_is_gone(errno))
		error_set(err, CODE_TARGET, "look for it with ps", "there is no process %d", pid);
	else if (!text)
		error_errno(err, CODE_NOT_READY, errno == EACCES ? "run as root" : NULL,
			    "cannot read /proc/%d/%s", pid, name);
	return text;
}

/* The fields follow the last bracket: a process's name may have blanks and brackets itself. */
static int parse_stat(const char *line, struct proc_status *status)
{
	const char *open = strchr(line, '('), *close = strrchr(line, ')');
	unsigned int flags, tty;
	int len;

	if (!open || !close)
		return -1;
	len = close - open - 1;
	snprintf(status->comm, sizeof(status->comm), "%.*s", len, open + 1);
	if (sscanf(close + 1, " %c %d %*d %d %u %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u %*d %"
		   SCNu64, &status->state, &status->ppid, &status->session, &tty, &flags,
		   &status->threads, &status->start_ticks) != 7)
		return -1;
	/* the kernel's encoding: bits 8 to 19 are the major number, all others the minor */
	status->tty = tty ? makedev(tty >> 8 & 0xfff, (tty & 0xff) | (tty >> 12 & 0xfff00)) : 0;
	status->kernel = flags & PF_KTHREAD;
	status->exiting = flags & PF_EXITING;
	return 0;
}

/* Not by sscanf(): each of the sixty lines of a status would be tried with each pattern. */
static bool takes(const char *line, const char *name, uint64_t *value)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len))
		return false;
	*value = strtoull(line + len, NULL, 10);
	return true;
}

static void parse_memory(const char *line, struct proc_status *status)
{
	uint64_t kib;

	if (takes(line, "VmSwap:", &kib)) {
		status->own_bytes += kib * 1024;
		status->rss_bytes += kib * 1024;
	} else if (takes(line, "RssAnon:", &kib)) {
		status->own_bytes += kib * 1024;
	} else if (takes(line, "VmRSS:", &kib)) {
		status->rss_bytes += kib * 1024;
	} else if (takes(line, "RssShmem:", &kib)) {
		status->shmem_bytes = kib * 1024;
	}
}

static void parse_status(char *line, struct proc_status *status)
{
	struct ns_pids pids;
	uint64_t value;

	parse_memory(line, status);
	if (!strncmp(line, "State:", 6) && !status->state)
		sscanf(line + 6, " %c", &status->state);
	else if (takes(line, "TracerPid:", &value))
		status->tracer = value;
	else if (takes(line, "Seccomp:", &value))
		status->seccomp = value;
	else if (ns_pids_parse(line, "NSpid:", &pids))
		status->ns_pid = pids.inner;
	else if (ns_pids_parse(line, "NSsid:", &pids))
		status->ns_session = pids.inner;
}

/* The kernel counts no threads of a process that ends while it is read. */
int proc_stat_read(pid_t pid, struct proc_status *status, struct error *err)
{
	char *text = take_text(pid, "stat", err);
	int ret;

	memset(status, 0, sizeof(*status));
	if (!text)
		return -1;
	ret = parse_stat(text, status);
	free(text);
	if (ret || !status->threads)
		return error_set(err, CODE_TARGET, NULL, "process %d has exited", pid);
	return 0;
}

static int add_status(pid_t pid, struct proc_status *status, struct error *err)
{
	char *text = take_text(pid, "status", err);

	if (!text)
		return -1;
	for (char *line = text, *end; line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = 0;
		parse_status(line, status);
	}
	free(text);
	if (!status->ns_pid)
		return error_set(err, CODE_TARGET, NULL, "process %d has exited", pid);
	return 0;
}

int proc_status_read(pid_t pid, struct proc_status *status, struct error *err)
{
	return proc_stat_read(pid, status, err) || add_status(pid, status, err) ? -1 : 0;
}

int proc_status_alone(pid_t pid, struct proc_status *status, struct error *err)
{
	memset(status, 0, sizeof(*status));
	return add_status(pid, status, err);
}

/* The kernel counts a link for each thread, and one more for the directory itself, and one for its parent's. */
static bool has_one_thread(const char *path)
{
	struct stat st;

	return !stat(path, &st) && st.st_nlink == 3;
}

int proc_threads(pid_t pid, proc_task_fn fn, void *ctx, struct error *err)
{
	struct dirent *entry;
	char path[32];
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	/* the first thread is the last one to be reaped; the list would tell no more, and takes five calls */
	if (has_one_thread(path))
		return fn(ctx, pid);
	dir = opendir(path);
	if (!dir)
		return error_errno(err, proc_is_gone(errno) ? CODE_TARGET : CODE_INTERNAL, NULL,
				   "cannot open %s", path);
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = fn(ctx, atoi(entry->d_name));
	closedir(dir);
	return ret;
}

/* By the name, "pid:[4026531836]": to follow the link takes the kernel twice as long. */
ino_t proc_ns(pid_t pid, const char *name)
{
	char path[48], link[64], *number;
	ssize_t n;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	else
		snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	number = strchr(link, '[');
	return number ? strtoull(number + 1, NULL, 10) : 0;
}

int proc_is_64bit(pid_t pid, struct error *err)
{
	unsigned char ident[EI_NIDENT] = { 0 };
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, CODE_NOT_READY, "run as root",
				   "cannot look at the program of process %d", pid);
	if (read(fd, ident, sizeof(ident)) != sizeof(ident))
		ident[EI_CLASS] = 0;
	close(fd);
	return ident[EI_CLASS] == ELFCLASS64;
}

int proc_open_clear_refs(pid_t pid, struct error *err)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		error_errno(err, proc_is_gone(errno) ? CODE_TARGET : CODE_NOT_READY, NULL,
			    "cannot open %s", path);
	return fd;
}

int proc_clear_refs(int fd, struct error *err)
{
	if (!io_pwrite_all(fd, "4", 1, 0))
		return 0;
	return error_errno(err, errno == ESRCH ? CODE_TARGET : CODE_INTERNAL, NULL,
			   "cannot clear soft-dirty bits");
}

static char *find_line(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;

	while (file && getline(&line, &cap, file) > 0)
		if (!strncmp(line, key, strlen(key))) {
			fclose(file);
			return line;
		}
	if (file)
		fclose(file);
	free(line);
	return NULL;
}

uint64_t proc_mem_available(void)
{
	char *line = find_line("/proc/meminfo", "MemAvailable:");
	uint64_t kib = line ? strtoull(line + 13, NULL, 10) : 0;

	free(line);
	return kib * 1024;
}

char *proc_cpu_flags(void)
{
	char *line = find_line("/proc/cpuinfo", "flags"), *colon, *flags = NULL;

	if (line) {
		colon = strchr(line, ':');
		line[strcspn(line, "\n")] = 0;
		flags = colon && colon[1] ? strdup(colon + 2) : NULL;
	}
	free(line);
	return flags;
}

int proc_pidfd(pid_t pid, struct error *err)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return error_errno(err, errno == ESRCH ? CODE_TARGET : CODE_INTERNAL, NULL,
				   "cannot get hold of process %d", pid);
	return fd;
}

int proc_oom_score_adj(pid_t pid, int *score, struct error *err)
{
	char *text = proc_text(pid, "oom_score_adj");

	if (!text)
		return error_errno(err, CODE_TARGET, NULL, "cannot read /proc/%d/oom_score_adj", pid);
	*score = strtol(text, NULL, 10);
	free(text);
	return 0;
}

int proc_set_oom_score_adj(pid_t pid, int score, struct error *err)
{
	char path[48], text[16];
	int old;

	if (!proc_oom_score_adj(pid, &old, err) && old == score)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	snprintf(text, sizeof(text), "%d\n", score);
	return io_write_text(path, text) ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot write %s", path) : 0;
}
