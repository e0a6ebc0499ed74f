// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "os/maps.h"
#include "os/proc.h"
#include "os/proc_files.h"
#include "source/surroundings.h"

/* Of the kernel's list of devices: /dev/ptmx */
#define TTYAUX_MAJOR		5
#define TTYAUX_PTMX		2

static int compare_holders(const void *left, const void *right)
{
	const struct holder *a = left, *b = right;

	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->dev < b->dev ? -1 : a->dev > b->dev;
}

/* grown by doubling; the capacity is the next power of two. Return: @items, moved; NULL: no memory */
static void *room_for_one(void *items, size_t nr, size_t bytes)
{
	return nr & (nr - 1) ? items : reallocarray(items, nr ? 2 * nr : 1, bytes);
}

static void add_holder(struct holders *all, dev_t dev, uint64_t ino, pid_t pid, int fd)
{
	struct holder *items = room_for_one(all->items, all->nr, sizeof(*items));

	all->failed |= !items;
	if (!items)
		return;
	all->items = items;
	items[all->nr++] = (struct holder){
		.ino = ino, .dev = dev, .pid = pid, .fd = fd, .access = -1,
	};
}

static void take_pipe(void *ctx, pid_t pid, int fd, const char *path)
{
	unsigned long ino;

	if (sscanf(path, "pipe:[%lu]", &ino) == 1)
		add_holder(ctx, 0, ino, pid, fd);
}

static void take_socket(void *ctx, pid_t pid, int fd, const char *path)
{
	unsigned long ino;

	if (sscanf(path, "socket:[%lu]", &ino) == 1)
		add_holder(ctx, 0, ino, pid, fd);
}

static bool stat_fd(pid_t pid, int fd, struct stat *st)
{
	char name[48];

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, fd);
	return !stat(name, st);
}

static void take_fifo(void *ctx, pid_t pid, int fd, const char *path)
{
	struct stat st;

	if (path[0] == '/' && stat_fd(pid, fd, &st) && S_ISFIFO(st.st_mode))
		add_holder(ctx, st.st_dev, st.st_ino, pid, fd);
}

/*
 * Memory of memfd_create() and shared MAP_ANONYMOUS is named like a deleted file. Linux 6.2 and
 * later show a name that PR_SET_VMA gave in place of "/dev/zero (deleted)".
 */
bool is_deleted_name(const char *name)
{
	size_t len = strlen(name);

	return (len > 10 && !strcmp(name + len - 10, " (deleted)")) ||
	       !strncmp(name, "[anon_shmem:", 12);
}

/* Memory that processes share, by its name: or a file of /dev/shm. */
static bool is_shared_name(const char *name)
{
	return is_deleted_name(name) || !strncmp(name, "/dev/shm/", 9);
}

static void take_deleted(void *ctx, pid_t pid, int fd, const char *path)
{
	struct stat st;

	if (is_shared_name(path) && stat_fd(pid, fd, &st))
		add_holder(ctx, st.st_dev, st.st_ino, pid, fd);
}

static void take_mapped(void *ctx, pid_t pid)
{
	struct error why = { 0 };
	struct holders *all = ctx;
	struct vma_list vmas;

	/* a kernel thread has no mappings, and a process may end during the walk */
	if (maps_read(pid, false, &vmas, &why)) {
		all->failed |= proc_is_short(why.os_errno);
		return;
	}
	for (size_t i = 0; i < vmas.nr; i++) {
		const struct vma *vma = &vmas.vmas[i];

		if (vma->shared && is_shared_name(vma->name))
			add_holder(all, makedev(vma->major, vma->minor), vma->ino, pid, -1);
	}
	maps_free(&vmas);
}

static int holders_read(struct holders *all, enum holder_list list, struct error *err)
{
	static const proc_link_fn takes[HOLDER_LISTS] = {
		[HOLDER_PIPES] = take_pipe, [HOLDER_FIFOS] = take_fifo,
		[HOLDER_SOCKETS] = take_socket, [HOLDER_SHARED] = take_deleted,
	};

	if (all->read)
		return 0;
	if (proc_links(takes[list], all, err) ||
	    (list == HOLDER_SHARED && proc_each(take_mapped, all, err)))
		return -1;
	if (all->failed)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of open files");
	if (all->nr)
		qsort(all->items, all->nr, sizeof(*all->items), compare_holders);
	all->read = true;
	return 0;
}

struct holder *surroundings_holders(struct surroundings *around, enum holder_list list, dev_t dev,
				    uint64_t ino, size_t *nr, struct error *err)
{
	struct holders *all = &around->holders[list];
	const struct holder key = { .ino = ino, .dev = dev };
	struct holder *at, *end;

	*nr = 0;
	if (holders_read(all, list, err))
		return NULL;
	at = all->nr ? bsearch(&key, all->items, all->nr, sizeof(key), compare_holders) : NULL;
	if (!at)
		return NULL;
	end = at;
	while (at > all->items && !compare_holders(at - 1, &key))
		at--;
	while (end < all->items + all->nr && !compare_holders(end, &key))
		end++;
	*nr = end - at;
	return at;
}

/* A program that forks all the time has children that end between the walk and this question. */
enum holder_place surroundings_place(const struct surroundings *around, struct holder *holder)
{
	if (holder->place == PLACE_UNASKED)
		holder->place = tree_owns(around->tree, holder->pid) ? PLACE_INSIDE :
				tree_is_foreign(around->tree, holder->pid) ? PLACE_OUTSIDE :
				PLACE_ENDED;
	return holder->place;
}

int holder_access(struct holder *holder)
{
	if (holder->access < 0)
		holder->access = proc_fd_flags(holder->pid, holder->fd) & O_ACCMODE;
	return holder->access;
}

static int compare_sockets(const void *left, const void *right)
{
	const struct seen_socket *a = left, *b = right;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static void take_unix(void *ctx, const struct unix_sock *sock)
{
	struct surroundings *around = ctx;
	struct seen_socket *all, *new;

	all = room_for_one(around->sockets, around->nr_sockets, sizeof(*all));
	if (!all)
		return;
	around->sockets = all;
	new = &all[around->nr_sockets];
	*new = (struct seen_socket){
		.ino = sock->ino, .peer = sock->peer, .unread = sock->unread, .type = sock->type,
		.file_ino = sock->file_ino,
	};
	/* a longer one is no name for a client */
	if (sock->name_bytes <= sizeof(new->name)) {
		new->name_bytes = sock->name_bytes;
		memcpy(new->name, sock->name ?: "", sock->name_bytes);
	}
	around->nr_sockets += new->peer || new->name_bytes;
}

bool seen_socket_name(const struct seen_socket *socket, char name[RECONNECT_NAME_BYTES])
{
	const struct unix_sock sock = {
		.name = socket->name, .name_bytes = socket->name_bytes,
		.file_ino = socket->file_ino,
	};

	return reconnect_name(&sock, name);
}

const struct seen_socket *surroundings_socket(struct surroundings *around, uint32_t ino)
{
	const struct seen_socket key = { .ino = ino };

	if (!around->sockets_read) {
		around->sockets_read = true;
		/* on a kernel without unix_diag CRIU's dump fails, and says why */
		if (unix_diag_walk(take_unix, around) ||
		    (around->tree->own_network &&
		     unix_diag_walk_in(tree_root(around->tree)->pid, take_unix, around)))
			around->nr_sockets = 0;
		if (around->nr_sockets)
			qsort(around->sockets, around->nr_sockets, sizeof(key), compare_sockets);
	}
	return !around->nr_sockets ? NULL :
	       bsearch(&key, around->sockets, around->nr_sockets, sizeof(key), compare_sockets);
}

static bool is_master(const struct proc_file *file)
{
	return S_ISCHR(file->st.st_mode) &&
	       file->st.st_rdev == makedev(TTYAUX_MAJOR, TTYAUX_PTMX);
}

static int take_master(void *ctx, const struct proc_file *file, struct error *err)
{
	struct surroundings *around = ctx;
	unsigned int number, *ptys;

	if (!is_master(file) || !proc_fd_tty_index(file->pid, file->fd, &number))
		return 0;
	ptys = realloc(around->ptys, (around->nr_ptys + 1) * sizeof(*ptys));
	if (!ptys)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of terminals");
	around->ptys = ptys;
	ptys[around->nr_ptys++] = number;
	return 0;
}

static int ptys_read(struct surroundings *around, struct error *err)
{
	struct source_process *process;
	int ret = 0;

	tree_for_each(around->tree, process) {
		struct error ended = { 0 };
		struct proc_files files;

		if (ret)
			continue;
		if (proc_files_read(process->pid, &files, &ended)) {
			ret = ended.code == CODE_TARGET ? 0 : -1;
			*err = ret ? ended : *err;
			continue;
		}
		ret = proc_files_each(&files, take_master, around, err);
		proc_files_free(&files);
	}
	around->ptys_read = !ret;
	return ret;
}

int surroundings_has_master(struct surroundings *around, unsigned int number, bool *has,
			    struct error *err)
{
	*has = false;
	if (!around->ptys_read && ptys_read(around, err))
		return -1;
	for (size_t i = 0; i < around->nr_ptys && !*has; i++)
		*has = around->ptys[i] == number;
	return 0;
}

const struct inet_sockets *surroundings_inet(struct surroundings *around, struct error *err)
{
	if (!around->inet_read && inet_sockets_read(tree_root(around->tree)->pid, &around->inet, err))
		return NULL;
	around->inet_read = true;
	return &around->inet;
}

void surroundings_forget(struct surroundings *around)
{
	for (size_t i = 0; i < HOLDER_LISTS; i++)
		free(around->holders[i].items);
	free(around->ptys);
	free(around->sockets);
	inet_sockets_free(&around->inet);
	*around = (struct surroundings){ .tree = around->tree };
}
