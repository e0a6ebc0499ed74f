// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "os/mount_list.h"
#include "os/proc_files.h"
#include "source/ghosts.h"
#include "source/refuse.h"

/* Of the kernel's list of devices. */
#define MEM_MAJOR	1	/* /dev/null and its kin */
#define TTYAUX_MAJOR	5	/* /dev/ptmx and its kin */
#define MISC_MAJOR	10
#define MISC_TUN	200
#define MISC_AUTOFS	235

#define ANON		"anon_inode:"

/** struct kinds - a walk over the descriptors of one process; @mounts: ids of the mounts it sees, once @asked */
struct kinds {
	const struct inspection *look;
	struct refusals *refusals;
	bool asked;
	unsigned int *mounts;
	size_t nr_mounts;
};

static bool is_message_queue(const struct proc_file *file)
{
	static const long type = 0x19800202;	/* the kernel's MQUEUE_MAGIC, which no header has */

	return S_ISREG(file->st.st_mode) && proc_fd_is_on(file->pid, file->fd, &type, 1);
}

static void refuse_pidfd(const struct kinds *kinds, const struct proc_file *file)
{
	char comm[32];
	pid_t pid;

	if (!criu_is_4_1(kinds->look->criu)) {
		refuse(kinds->refusals, "CRIU 4.1 or later on both machines carries it",
		       "descriptor %d is a pidfd", file->fd);
		return;
	}
	/* CRIU carries the pidfd of a process that has ended, and of one that moves too */
	if (!proc_fd_pid(file->pid, file->fd, &pid) || pid <= 0 || pid == file->pid ||
	    tree_owns(kinds->look->tree, pid))
		return;
	proc_comm(pid, comm);
	refuse(kinds->refusals, "let the program close it",
	       "descriptor %d is a pidfd of process %d (%s), which stays here", file->fd, pid, comm);
}

/* Names as in the kernel's links; the names "inotify" and "bpf-map" have no brackets. */
static void refuse_anonymous(const struct kinds *kinds, const struct proc_file *file)
{
	static const char *const carried[] = {
		"[eventfd]", "[eventpoll]", "[signalfd]", "[timerfd]", "inotify", "[fanotify]",
		"bpf-map",
	};
	const char *kind = file->path + strlen(ANON);

	if (!strcmp(kind, "[pidfd]")) {
		refuse_pidfd(kinds, file);
		return;
	}
	for (size_t i = 0; i < sizeof(carried) / sizeof(*carried); i++)
		if (!strcmp(kind, carried[i]))
			return;
	kind += *kind == '[';
	refuse(kinds->refusals, "let the program close it",
	       "descriptor %d is of a kind that cannot be carried: %.*s", file->fd,
	       (int)strcspn(kind, "]"), kind);
}

static bool has_own_mounts(const struct kinds *kinds)
{
	const struct tree *tree = kinds->look->tree;

	return tree && tree->mounts && tree->mounts->own;
}

static void mounts_read(struct kinds *kinds, pid_t pid)
{
	struct mount_list list = { 0 };
	unsigned int *more = NULL;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	if (!mount_list_read(&list, path, &(struct error){ 0 }))
		more = realloc(kinds->mounts, (kinds->nr_mounts + list.nr + 1) * sizeof(*more));
	if (more)
		kinds->mounts = more;
	else
		/* with half a list a mounted file would be refused as unmounted */
		kinds->nr_mounts = 0;
	for (size_t i = 0; more && i < list.nr; i++)
		more[kinds->nr_mounts++] = list.mounts[i].id;
	mount_list_free(&list);
}

/* Most processes of a tree have only devices and pipes: the list is read when a file asks for it. */
static void mounts_find(struct kinds *kinds)
{
	if (kinds->asked)
		return;
	kinds->asked = true;
	mounts_read(kinds, kinds->look->process->pid);
	/* CRIU takes a descriptor of before unshare(CLONE_NEWNS) by its path */
	if (has_own_mounts(kinds))
		mounts_read(kinds, getpid());
}

static bool is_mounted(struct kinds *kinds, const struct proc_file *file)
{
	unsigned int id;

	mounts_find(kinds);
	if (!kinds->nr_mounts || !proc_fd_mount(file->pid, file->fd, &id))
		return true;
	for (size_t i = 0; i < kinds->nr_mounts; i++)
		if (kinds->mounts[i] == id)
			return true;
	return false;
}

/* Opened before the mount was taken away, or before pivot_root. */
static void refuse_unmounted(struct kinds *kinds, const struct proc_file *file)
{
	if (file->path[0] == '/' && !proc_file_is_deleted(file) && !is_mounted(kinds, file))
		refuse(kinds->refusals, "let the program close it",
		       "descriptor %d is %s of a file system that is not mounted where the program is",
		       file->fd, file->path);
}

static void refuse_device(struct kinds *kinds, const struct proc_file *file)
{
	unsigned int nr = major(file->st.st_rdev), sub = minor(file->st.st_rdev);

	if (S_ISCHR(file->st.st_mode) &&
	    (nr == MEM_MAJOR || nr == TTYAUX_MAJOR || is_terminal(file) ||
	     (nr == MISC_MAJOR && sub == MISC_AUTOFS))) {
		/* a terminal may be one of another /dev/pts: see refuse_terminals() */
		if (nr == MEM_MAJOR && has_own_mounts(kinds))
			refuse_unmounted(kinds, file);
		return;
	}
	if (nr == MISC_MAJOR && sub == MISC_TUN)
		refuse(kinds->refusals, "let the program close it",
		       "descriptor %d is a network device of this machine (tun or tap)", file->fd);
	else
		refuse(kinds->refusals, "let the program close it",
		       "descriptor %d is the device %s, which is another one there", file->fd,
		       file->path);
}

static int socket_number(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -1 : value;
}

static bool is_carried_socket(int family, int type, int protocol)
{
	switch (family) {
	case AF_UNIX:
	case AF_NETLINK:
	case AF_PACKET:
		return true;
	case AF_INET:
	case AF_INET6:
		return type == SOCK_RAW || protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
		       protocol == IPPROTO_UDPLITE;
	default:
		return false;
	}
}

static void refuse_socket(const struct kinds *kinds, const struct proc_file *file)
{
	int fd = proc_fd_get(file->pid, file->fd), family, type, protocol;

	if (fd < 0)
		return;
	family = socket_number(fd, SO_DOMAIN);
	type = socket_number(fd, SO_TYPE);
	protocol = socket_number(fd, SO_PROTOCOL);
	close(fd);
	if (family >= 0 && !is_carried_socket(family, type, protocol))
		refuse(kinds->refusals, "let the program close it",
		       "descriptor %d is a socket of a kind that cannot be carried: address family %d, protocol %d",
		       file->fd, family, protocol);
}

static void refuse_file(struct kinds *kinds, const struct proc_file *file)
{
	bool deleted = proc_file_is_deleted(file);
	uint64_t bytes = ghost_bytes(&file->st, criu_is_4_1(kinds->look->criu));
	uint64_t limit = criu_config_ghost_bytes(kinds->look->config);

	if (is_message_queue(file))
		refuse(kinds->refusals, NULL, "descriptor %d is the message queue %s", file->fd,
		       file->path);
	else if (deleted && S_ISREG(file->st.st_mode) && bytes > limit &&
		 strncmp(file->path, "/memfd:", 7))
		refuse(kinds->refusals, ghost_hint,
		       "descriptor %d is a deleted file of %lu MiB (%s), more than the %lu MiB that are carried",
		       file->fd, bytes >> 20, file->path, limit >> 20);
	else if (!deleted && proc_path_is_deleted(file->path) && !S_ISREG(file->st.st_mode))
		refuse(kinds->refusals, "let the program open it by its other name",
		       "descriptor %d has a name that is gone and another one, and is no regular file: %s",
		       file->fd, file->path);
	else
		refuse_unmounted(kinds, file);
}

static int refuse_kind(void *ctx, const struct proc_file *file, struct error *err)
{
	struct kinds *kinds = ctx;

	if (!strncmp(file->path, ANON, strlen(ANON)))
		refuse_anonymous(kinds, file);
	else if (!strncmp(file->path, "pidfd:", 6))
		refuse_pidfd(kinds, file);
	else if (S_ISSOCK(file->st.st_mode))
		refuse_socket(kinds, file);
	else if (S_ISCHR(file->st.st_mode) || S_ISBLK(file->st.st_mode))
		refuse_device(kinds, file);
	else
		refuse_file(kinds, file);
	return 0;
}

int refuse_kinds(struct inspection *look, const struct proc_files *files,
		 struct refusals *refusals, struct error *err)
{
	struct kinds kinds = { .look = look, .refusals = refusals };
	int ret = proc_files_each(files, refuse_kind, &kinds, err);

	free(kinds.mounts);
	return ret;
}
