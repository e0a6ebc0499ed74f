// SPDX-License-Identifier: GPL-2.0
/* Files, of which a move can lose the name, the content or what is to come. */
#include <err.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "lossy.h"

static const char *late_path;

static void file(const char *arg)
{
	must(open(arg, O_RDWR | O_CREAT, 0600), arg);
}

static void appended(const char *arg)
{
	int fd = open(arg, O_WRONLY | O_CREAT | O_APPEND, 0600);

	must(fd, arg);
	must(write(fd, "line\n", 5), arg);
}

static void open_only(const char *arg)
{
	must(open(arg, O_RDONLY | O_NONBLOCK), arg);
}

static void cwd(const char *arg)
{
	must(chdir(arg), arg);
}

static void own_chroot(const char *arg)
{
	must(chroot(arg), arg);
	must(chdir("/"), "chdir");
}

/* A deleted file of so many MiB. */
static void big_ghost(const char *arg)
{
	static char mib[1 << 20];
	int fd = open("/dev/shm/big", O_RDWR | O_CREAT, 0600);

	must(fd, "/dev/shm/big");
	for (int i = atoi(arg); i > 0; i--)
		must(write(fd, mib, sizeof(mib)), "write");
	must(unlink("/dev/shm/big"), "unlink");
}

/* The file that is open, or mapped, has the name @arg.2 alone. */
static void leave_name(const char *arg)
{
	char path[128];

	snprintf(path, sizeof(path), "%s.2", arg);
	unlink(path);
	must(link(arg, path), path);
	must(unlink(arg), arg);
}

static void other_name(const char *arg)
{
	file(arg);
	leave_name(arg);
}

static void open_other_name(const char *arg)
{
	open_only(arg);
	leave_name(arg);
}

/* Privately, and not open. */
static void mapped_other_name(const char *arg)
{
	int fd = open(arg, O_RDONLY);

	must(fd, arg);
	if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		err(1, "mmap");
	close(fd);
	leave_name(arg);
}

/* The name that is left is in another directory. */
static void far_name(const char *arg)
{
	char path[128];

	file(arg);
	snprintf(path, sizeof(path), "%s.d", arg);
	mkdir(path, 0700);
	strncat(path, "/far", sizeof(path) - strlen(path) - 1);
	unlink(path);
	must(link(arg, path), path);
	must(unlink(arg), arg);
}

static void unmounted(const char *arg)
{
	char path[128];

	must(mount("none", arg, "tmpfs", 0, NULL), arg);
	snprintf(path, sizeof(path), "%s/file", arg);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	open_only(path);
	must(umount2(arg, MNT_DETACH), arg);
}

static void late(const char *arg)
{
	late_path = arg;
}

/* Read-only now, and still it can be made writable. */
static void mapped(const char *arg)
{
	int fd = open(arg, O_RDWR | O_CREAT, 0600);

	must(fd, arg);
	must(ftruncate(fd, 4096), arg);
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		err(1, "mmap");
	close(fd);
}

static void ghost(const char *arg)
{
	int fd = open(arg, O_RDWR | O_CREAT, 0600);

	must(fd, arg);
	must(fsetxattr(fd, "trusted.lossy", "1", 1, 0), "fsetxattr");
	must(unlink(arg), arg);
}

static void queue(const char *arg)
{
	must(mq_open(arg, O_RDWR | O_CREAT, 0600, NULL), arg);
}

static void events(const char *arg)
{
	int fd = inotify_init(), touched;
	char path[128];

	must(inotify_add_watch(fd, arg, IN_CREATE), arg);
	snprintf(path, sizeof(path), "%s/event", arg);
	touched = open(path, O_WRONLY | O_CREAT, 0600);
	must(touched, path);
	close(touched);
}

static void device(const char *arg)
{
	must(open(arg, O_RDWR | O_NONBLOCK), arg);
}

void lossy_open_late(void)
{
	file(late_path);
}

const struct lossy_thing lossy_files[] = {
	{ "file", file },
	{ "appended", appended },
	{ "late", late },
	{ "mapped", mapped },
	{ "ghost", ghost },
	{ "queue", queue },
	{ "events", events },
	{ "chroot", own_chroot },
	{ "device", device },
	{ "big-ghost", big_ghost },
	{ "other-name", other_name },
	{ "open-other-name", open_other_name },
	{ "mapped-other-name", mapped_other_name },
	{ "far-name", far_name },
	{ "unmounted", unmounted },
	{ "open", open_only },
	{ "cwd", cwd },
	{ 0 },
};
