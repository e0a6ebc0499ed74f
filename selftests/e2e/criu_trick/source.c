// SPDX-License-Identifier: GPL-2.0
/* The side of the task that is dumped. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/proc.h"
#include "trick.h"

static int listen_on(int *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t bytes = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, bytes) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&addr, &bytes))
		die("listen: %m");
	*port = ntohs(addr.sin_port);
	return fd;
}

static void target_exec(const struct target_opts *opts, const char *file, int port)
{
	char mib[12], number[12];
	char *argv[] = { "criu_trick", "target", mib, (char *)file, number,
			 opts->odd ? "1" : "0", NULL };
	int null = open("/dev/null", O_RDWR);

	snprintf(mib, sizeof(mib), "%u", opts->mib);
	snprintf(number, sizeof(number), "%d", port);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close_range(3, ~0U, 0);
	execv("/proc/self/exe", argv);
	_exit(127);
}

void target_start(struct target *target, const struct target_opts *opts)
{
	static int nr;
	char file[64], path[64];
	int port, listener = listen_on(&port);

	snprintf(file, sizeof(file), "/run/trick-progress-%d", nr++);
	target->progress_fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	target->pid = fork();
	if (!target->pid)
		target_exec(opts, file, port);
	target->echo_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	snprintf(path, sizeof(path), "/proc/%d/mem", target->pid);
	target->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (target->progress_fd < 0 || target->pid < 0 || target->mem_fd < 0)
		die("cannot start the target: %m");
	while (!target_progress(target).passes) {
		if (waitpid(target->pid, NULL, WNOHANG))
			die("the target has ended");
		sleep_ms(20);
	}
}

void target_stop(struct target *target)
{
	kill(target->pid, SIGKILL);
	waitpid(target->pid, NULL, 0);
	close(target->mem_fd);
	close(target->progress_fd);
	close(target->echo_fd);
}

struct progress target_progress(const struct target *target)
{
	struct progress progress = { 0 };

	if (pread(target->progress_fd, &progress, sizeof(progress), 0) < 0)
		die("progress: %m");
	return progress;
}

bool target_moves(const struct target *target, unsigned int ms)
{
	uint64_t steps = target_progress(target).steps, start = now_ms();

	while (now_ms() - start < ms) {
		if (target_progress(target).steps != steps)
			return true;
		sleep_ms(10);
	}
	return false;
}

bool target_echoes(const struct target *target)
{
	struct pollfd poller = { .fd = target->echo_fd, .events = POLLIN };
	char byte = 'x', back = 0;

	if (send(target->echo_fd, &byte, 1, MSG_NOSIGNAL) != 1)
		return false;
	return poll(&poller, 1, 5000) == 1 && read(target->echo_fd, &back, 1) == 1 &&
	       back == byte;
}

static int dir_make(const struct session *s, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s%s", s->path, name);
	if (mkdir(path, 0700))
		die("%s: %m", path);
	fd = open(path, O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %m", path);
	return fd;
}

void session_open(struct session *s)
{
	static int nr;

	memset(s, 0, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "/run/trick-%d", nr++);
	close(dir_make(s, ""));
	s->parent_fd = dir_make(s, "/p1");
	s->images_fd = dir_make(s, "/images");
	s->work_fd = dir_make(s, "/work");
	s->dest_fd = dir_make(s, "/dest");
}

void session_close(struct session *s)
{
	close(s->parent_fd);
	close(s->images_fd);
	close(s->work_fd);
	close(s->dest_fd);
}

int session_dump(struct session *s, const struct target *target, bool parent)
{
	struct criu_dump_opts opts = {
		.pid = target->pid, .images_dir_fd = s->images_fd, .work_dir_fd = s->work_fd,
		.parent = parent ? "../p1" : NULL, .log_level = 4,
	};
	uint64_t start;

	if (parent && (criu_parent_write(s->parent_fd, &s->err) ||
		       criu_parent_add(s->parent_fd, target->pid, &s->err)))
		return -1;
	if (criu_dump_prepare(&opts, &s->dump, &s->err))
		return -1;
	start = now_ms();
	if (criu_dump_start(&opts, &s->dump, &s->err))
		return -1;
	note("held after %lu ms", now_ms() - start);
	return 0;
}

void mirror_copy(struct mirror *mirror, const struct target *target)
{
	struct error err = { 0 };
	int fd = proc_open_clear_refs(target->pid, &err);

	if (fd < 0 || proc_clear_refs(fd, &err) ||
	    maps_read(target->pid, true, &mirror->vmas, &err))
		die("%s", err.what);
	close(fd);
	mirror->data = calloc(mirror->vmas.nr, sizeof(*mirror->data));
	for (size_t i = 0; i < mirror->vmas.nr; i++) {
		const struct vma *vma = &mirror->vmas.vmas[i];
		size_t bytes = vma->end - vma->start;

		mirror->data[i] = malloc(bytes);
		if (vma->start < USER_END && mirror->data[i] &&
		    pread(target->mem_fd, mirror->data[i], bytes, vma->start) ==
		    (ssize_t)bytes)
			continue;
		free(mirror->data[i]);
		mirror->data[i] = NULL;
	}
}

const char *mirror_page(const struct mirror *mirror, uint64_t addr)
{
	const struct vma *vma = maps_find(&mirror->vmas, addr);
	const char *data = vma ? mirror->data[vma - mirror->vmas.vmas] : NULL;

	return data ? data + (addr - vma->start) : NULL;
}

void mirror_free(struct mirror *mirror)
{
	for (size_t i = 0; i < mirror->vmas.nr; i++)
		free(mirror->data[i]);
	free(mirror->data);
	maps_free(&mirror->vmas);
}

static void pagemap_add(struct pagemap *map, const struct pagemap_entry *entry)
{
	map->entries = reallocarray(map->entries, map->nr + 1, sizeof(*entry));
	map->entries[map->nr++] = *entry;
	if (entry->flags & PAGEMAP_PRESENT)
		map->present += entry->nr_pages;
	else if (entry->flags & PAGEMAP_PARENT)
		map->parent += entry->nr_pages;
	else
		map->lazy += entry->nr_pages;
}

void pagemap_load(struct pagemap *map, int images_fd, pid_t pid)
{
	struct pagemap_entry entry;
	struct error err = { 0 };
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;
	struct image image;

	memset(map, 0, sizeof(*map));
	pagemap_name(name, pid);
	if (image_open(&image, images_fd, name, IMAGE_PAGEMAP, &err) ||
	    image_next(&image, &img__pagemap_head__descriptor, &msg, &err) != 1)
		die("%s", err.what);
	protobuf_c_message_free_unpacked(msg, NULL);
	while (image_next(&image, &img__pagemap_entry__descriptor, &msg, &err) > 0) {
		if (pagemap_get((Img__PagemapEntry *)msg, 0, &entry, &err))
			die("%s", err.what);
		pagemap_add(map, &entry);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
	note("pagemap: %lu present, %lu lazy, %lu in the parent", map->present, map->lazy,
	     map->parent);
}

void pagemap_free(struct pagemap *map)
{
	free(map->entries);
}
