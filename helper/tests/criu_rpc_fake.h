/* SPDX-License-Identifier: GPL-2.0 */
/* A CRIU that holds a dump or fails at it, and the directories of that dump. Included by one test. */
#ifndef MIGRATE_TESTS_CRIU_RPC_FAKE_H
#define MIGRATE_TESTS_CRIU_RPC_FAKE_H

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "criu/rpc.h"
#include "tests/criu_fake.h"
#include "tests/criu_images.h"

/*
 * A stand-in for CRIU: this program itself, found as `criu` in PATH. Its environment is
 * empty, so the pid that it is to dump says how it behaves.
 */
enum act { ACT_HOLD = 1, ACT_FAIL, ACT_DIE, ACT_GARBAGE, ACT_DIE_HELD, ACT_ENDS, ACT_MUTE,
	   ACT_LOG, ACT_LOG_KILLED, ACT_LOG_LONG, ACT_HASTY, ACT_IDLE,
	   ACT_SLOW };

#define LOG_FILLER	"(00.0) the parasite says something\n"
#define LOG_FILLERS	6000	/* more than a pipe holds */
#define LOG_TOO_MANY	300000	/* some 10 MiB */
#define LOG_BYTES_MAX	(9 << 20)

static void fake_mark(int images_fd, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d/%s", getppid(), images_fd, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd >= 0)
		close(fd);
}

static void fake_result(int fd, bool success, const char *text, int number)
{
	CriuResp resp = CRIU_RESP__INIT;

	resp.type = CRIU_REQ_TYPE__DUMP;
	resp.success = success;
	resp.cr_errmsg = (char *)text;
	resp.has_cr_errno = number;
	resp.cr_errno = number;
	criu_fake_send(fd, &resp);
}

/* Return: true when the script was acknowledged */
static bool fake_notify(int fd, int images_fd, const char *script)
{
	CriuResp resp = CRIU_RESP__INIT;
	CriuNotify notify = CRIU_NOTIFY__INIT;
	CriuReq *req;

	notify.script = (char *)script;
	resp.type = CRIU_REQ_TYPE__NOTIFY;
	resp.success = true;
	resp.notify = &notify;
	criu_fake_send(fd, &resp);
	req = criu_fake_recv(fd);
	if (!req)
		fake_mark(images_fd, "hung-up");
	return req && req->type == CRIU_REQ_TYPE__NOTIFY && req->notify_success;
}

static const char fake_log_text[] =
	"(00.1) Warn  (criu/a.c:1): strange\n"
	"(00.1) Error (criu/rlimit.c:1): rlimit: Can't setup RLIMIT_NOFILE for self: no\n"
	"(00.2) Error (criu/y.c:2): No parent image found, whatever\n"
	"(00.3) Error (criu/z.c:3): the root of it\n"
	"(00.4) Error (criu/z.c:4): Dumping FAILED.\n";

/* Under a limit that a file would not pass, as when CRIU logs as the program. */
static void fake_log(const CriuOpts *opts)
{
	struct rlimit limit = { .rlim_cur = 16, .rlim_max = 16 };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d/%s", getppid(), opts->work_dir_fd,
		 opts->log_file);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
	setrlimit(RLIMIT_FSIZE, &limit);
	for (int i = 0; i < (opts->pid == ACT_LOG_LONG ? LOG_TOO_MANY : LOG_FILLERS); i++)
		dprintf(fd, LOG_FILLER);
	dprintf(fd, "%s", fake_log_text);
	close(fd);
}

/* Somebody kills the process that copies the log. */
static void kill_copying(void)
{
	char path[64], name[32];
	FILE *children, *comm;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", getppid(), getppid());
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		comm = fopen(path, "re");
		if (comm && fgets(name, sizeof(name), comm) && !strcmp(name, "migrate-log\n"))
			kill(pid, SIGKILL);
		if (comm)
			fclose(comm);
	}
	if (children)
		fclose(children);
}

static void fake_dump(int fd, const CriuOpts *opts)
{
	int images_fd = opts->images_dir_fd;

	while (opts->pid == ACT_IDLE)
		pause();
	if (opts->pid != ACT_HASTY && !fake_notify(fd, images_fd, "pre-dump"))
		return;
	if (opts->pid == ACT_FAIL)
		fake_result(fd, false, "Error (criu/x.c:1): the task has a strange thing\n", 0);
	if (opts->pid == ACT_GARBAGE && send(fd, "\xff\xff\xff", 3, 0) == 3)
		criu_fake_recv(fd);
	if (opts->pid == ACT_LOG_KILLED)
		kill_copying();
	if (opts->pid == ACT_ENDS)
		fake_result(fd, false, NULL, ESRCH);
	if (opts->pid == ACT_LOG || opts->pid == ACT_LOG_KILLED || opts->pid == ACT_LOG_LONG)
		fake_log(opts);
	if (opts->pid == ACT_MUTE || opts->pid == ACT_LOG || opts->pid == ACT_LOG_KILLED ||
	    opts->pid == ACT_LOG_LONG)
		fake_result(fd, false, "Error (criu/y.c:2): No parent image found, whatever\n", 0);
	if (opts->pid == ACT_DIE_HELD) {
		CriuResp resp = CRIU_RESP__INIT;
		CriuNotify notify = CRIU_NOTIFY__INIT;

		notify.script = "status-ready";
		resp.type = CRIU_REQ_TYPE__NOTIFY;
		resp.success = true;
		resp.notify = &notify;
		criu_fake_send(fd, &resp);
		raise(SIGKILL);
	}
	if (opts->pid != ACT_HOLD && opts->pid != ACT_HASTY && opts->pid != ACT_SLOW)
		return;
	if (opts->pid == ACT_SLOW)
		usleep(1500000);
	if (!fake_notify(fd, images_fd, "status-ready"))
		fake_mark(images_fd, "let-go");
	if (fake_notify(fd, images_fd, "network-unlock"))
		fake_mark(images_fd, "unlocked");
	fake_result(fd, false, NULL, 0);
}

static int fake_criu(int fd)
{
	CriuResp resp = CRIU_RESP__INIT;
	CriuVersion version = CRIU_VERSION__INIT;
	CriuReq *req = criu_fake_recv(fd);
	DIR *fds = opendir("/proc/self/fd");
	int nr = 0;

	while (readdir(fds))
		nr++;
	closedir(fds);
	if (req && req->type == CRIU_REQ_TYPE__DUMP) {
		/* ., .., three standard ones, two sockets, and the open directory */
		if (nr == 8)
			fake_mark(req->opts->images_dir_fd, "fds-are-right");
		if (req->opts->pid != ACT_DIE)
			fake_dump(fd, req->opts);
	} else if (req && req->type == CRIU_REQ_TYPE__VERSION) {
		resp.type = CRIU_REQ_TYPE__VERSION;
		resp.success = true;
		resp.version = &version;
		version.major_number = 3;
		version.minor_number = 17;
		version.has_sublevel = true;
		version.sublevel = 1;
		criu_fake_send(fd, &resp);
		return req->keep_open ? fake_criu(fd) : 0;
	}
	return 0;
}

struct fixture {
	struct test_dir bin, images, work;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	criu_fake_install(&f->bin);
	dir_make(&f->images);
	dir_make(&f->work);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dir_remove(&f->bin);
	dir_remove(&f->images);
	dir_remove(&f->work);
	free(f);
	return 0;
}

static int start(struct fixture *f, enum act act, struct criu_dump **dump)
{
	struct criu_dump_opts opts = {
		.pid = act, .images_dir_fd = f->images.fd, .work_dir_fd = f->work.fd,
		.parent = "../p1", .log_level = 2,
	};

	if (criu_dump_prepare(&opts, dump, &f->err))
		return -1;
	return criu_dump_start(&opts, dump, &f->err);
}

#endif
