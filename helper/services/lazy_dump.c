// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "criu/criu.h"
#include "os/proc.h"
#include "os/proc_tree.h"
#include "services/lazy_dump.h"
#include "services/page_chain.h"
#include "wire/conn.h"

static int read_lacking(struct lazy_dump *dump, int images_fd, struct lazy_dump_task *task, struct error *err)
{
	struct page_chain images;
	int ret;

	if (page_chain_open_task(&images, images_fd, task->image_pid, err))
		return -1;
	ret = page_chain_lacking(&images, &task->lazy, err);
	if (images.list->map.wide)
		dump->form = PAGE_COMMAND_WIDE;
	page_chain_free(&images);
	return ret;
}

static int read_images(struct lazy_dump *dump, int images_fd, struct error *err)
{
	pid_t *pids;
	int ret = criu_tree_read(images_fd, &pids, &dump->nr, err);

	dump->form = PAGE_COMMAND_NARROW;
	dump->tasks = ret ? NULL : calloc(dump->nr, sizeof(*dump->tasks));
	if (!ret && !dump->tasks)
		ret = error_set(err, CODE_INTERNAL, NULL, "no memory for the tree");
	if (!dump->tasks)
		dump->nr = 0;
	for (size_t i = 0; !ret && i < dump->nr; i++) {
		dump->tasks[i].image_pid = pids[i];
		ret = read_lacking(dump, images_fd, &dump->tasks[i], err);
	}
	free(pids);
	return ret;
}

static struct lazy_dump_task *task_of(const struct lazy_dump *dump, pid_t image_pid)
{
	for (size_t i = 0; i < dump->nr; i++)
		if (dump->tasks[i].image_pid == image_pid)
			return &dump->tasks[i];
	return NULL;
}

/* A process that nobody holds has other memory than the images say. */
static int take_process(struct lazy_dump *dump, pid_t pid, enum backend_kind kind, struct error *err)
{
	struct proc_status status;
	struct lazy_dump_task *task;

	if (proc_status_alone(pid, &status, err))
		return -1;
	task = task_of(dump, status.ns_pid);
	if (!task || task->pid)
		return 0;
	if (!status.tracer)
		return error_set(err, CODE_TARGET, "criu dump --lazy-pages holds it from its --status-fd on",
				 "process %d runs: no criu dump holds it", pid);
	task->pid = pid;
	task->backend = backend_open(kind, TRACKER_SOFT_DIRTY, pid, NULL, err);
	return task->backend ? 0 : -1;
}

int lazy_dump_read(struct lazy_dump *dump, int images_fd, pid_t pid, enum backend_kind kind, struct error *err)
{
	pid_t *pids = NULL;
	size_t nr = 0;
	int ret = read_images(dump, images_fd, err);

	if (!ret)
		ret = proc_tree(pid, &pids, &nr, err);
	for (size_t i = 0; !ret && i < nr; i++)
		ret = take_process(dump, pids[i], kind, err);
	free(pids);
	for (size_t i = 0; !ret && i < dump->nr; i++)
		if (!dump->tasks[i].pid)
			ret = error_set(err, CODE_USAGE, "--images-dir and --pid have to be those of one dump",
					"task %d of the images is not in the tree of process %d",
					dump->tasks[i].image_pid, pid);
	return ret;
}

int lazy_dump_connect(struct lazy_dump *dump, const char *where, struct error *err)
{
	int fd;

	if (lazy_link_init(&dump->link, err))
		return -1;
	dump->link.form = dump->form;
	fd = conn_dial(where, err);
	if (fd < 0) {
		snprintf(err->hint, sizeof(err->hint),
			 "criu dump --lazy-pages listens when it has written to its --status-fd");
		return -1;
	}
	lazy_link_use(&dump->link, fd, NULL);
	return 0;
}

bool lazy_dump_holds(const struct lazy_dump *dump)
{
	/* CRIU says nothing by itself: what can be read is the end */
	struct pollfd pfd = { .fd = dump->link.fd, .events = POLLIN | POLLRDHUP };

	return dump->link.fd >= 0 && !poll(&pfd, 1, 0);
}

const struct lazy_dump_task *lazy_dump_find(const struct lazy_dump *dump, uint64_t target)
{
	return target <= INT_MAX ? task_of(dump, target) : NULL;
}

uint64_t lazy_dump_lacking(const struct lazy_dump *dump)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < dump->nr; i++)
		nr += dump->tasks[i].lazy.nr;
	return nr;
}

int lazy_dump_finish(struct lazy_dump *dump, struct error *err)
{
	return lazy_link_finish(&dump->link, err);
}

void lazy_dump_abort(struct lazy_dump *dump)
{
	lazy_link_abort(&dump->link);
}

void lazy_dump_free(struct lazy_dump *dump)
{
	lazy_link_free(&dump->link);
	for (size_t i = 0; i < dump->nr; i++) {
		page_set_destroy(&dump->tasks[i].lazy);
		backend_close(dump->tasks[i].backend);
	}
	free(dump->tasks);
	dump->tasks = NULL;
	dump->nr = 0;
}
