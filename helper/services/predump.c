// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "criu/inventory.h"
#include "criu/stats.h"
#include "os/fds.h"
#include "os/pagemap.h"
#include "os/proc_tree.h"
#include "services/predump.h"
#include "services/predump_result.h"
#include "services/predump_task.h"
#include "services/predump_uplink.h"

#define TICK_NS		10000000UL	/* of start_ticks: 1/100 s in all of Linux's interfaces */

/** struct predump - one run; @uptime_ns: from before the tree was listed */
struct predump {
	const struct predump_options *opts;
	struct image_dir dir;
	int parent_fd;
	struct pages_file file;
	struct predump_uplink uplink;
	struct predump_task *tasks;
	size_t nr;
	uint64_t uptime_ns;
	bool tracks;
	struct error err;
};

static bool is_image(const char *name)
{
	return !strcmp(name, INVENTORY_NAME) || (!strncmp(name, "pagemap-", 8) && !strstr(name, ".part"));
}

/*
 * An image of an earlier pre-dump that stays, since its process could not be written now, would be taken for what the
 * process has at the last clearing of its bits: a restore from it would be wrong.
 */
static int refuse_used(struct predump *predump)
{
	int fd = openat(predump->dir.fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool used = false;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return error_errno(&predump->err, CODE_INTERNAL, NULL, "cannot list the images");
	}
	while ((entry = readdir(stream)))
		used |= is_image(entry->d_name);
	closedir(stream);
	return used ? error_set(&predump->err, CODE_USAGE, "each pre-dump needs a new, empty directory",
				"there are images in \"%s\" already", predump->opts->images_dir) : 0;
}

/* Before any bit is cleared: a pre-dump that cannot be sent changes nothing. */
static int open_uplink(struct predump *predump)
{
	const struct predump_server *server = &predump->opts->server;

	return server->address ? predump_uplink_open(&predump->uplink, server, &predump->err) : 0;
}

static int refuse_chain(struct predump *predump)
{
	return predump->tracks || !predump->opts->prev_images_dir ? 0 :
	       error_set(&predump->err, CODE_NOT_READY,
			 "leave --prev-images-dir out for images of all memory, on which no criu dump can build",
			 "this kernel has no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY), by which dumps build on each other");
}

static int open_dirs(struct predump *predump)
{
	const struct predump_options *opts = predump->opts;

	if (image_dir_open(&predump->dir, opts->images_dir, opts->prev_images_dir, &predump->err))
		return -1;
	predump->dir.no_fsync = opts->no_fsync;
	return refuse_used(predump) || image_dir_parent(&predump->dir, &predump->parent_fd, &predump->err) ?
	       -1 : 0;
}

/*
 * CRIU takes a process that has started at the time in the inventory, or later, for another one that has got the same
 * pid, and dumps it whole. So the time is from before the listing: a pid that is given away anew while this program
 * works cannot pass for the process in the images.
 */
static int list_tree(struct predump *predump)
{
	struct proc_status status;
	pid_t *pids = NULL;
	int ret;

	if (proc_stat_read(predump->opts->pid, &status, &predump->err))
		return -1;
	predump->uptime_ns = clock_ns(CLOCK_BOOTTIME);
	while (status.start_ticks >= predump->uptime_ns / TICK_NS) {
		nanosleep(&(struct timespec){ .tv_nsec = TICK_NS }, NULL);
		predump->uptime_ns = clock_ns(CLOCK_BOOTTIME);
	}
	ret = proc_tree(predump->opts->pid, &pids, &predump->nr, &predump->err);
	if (!ret) {
		predump->tasks = calloc(predump->nr, sizeof(*predump->tasks));
		if (!predump->tasks)
			ret = error_errno(&predump->err, CODE_INTERNAL, NULL, "no memory for the tree");
	}
	for (size_t i = 0; !ret && i < predump->nr; i++)
		predump->tasks[i].pid = pids[i];
	free(pids);
	return ret;
}

/* A child in vfork() runs in its parent's memory, which is written as the parent's. */
static int refuse_borrower(struct predump *predump, size_t nr)
{
	struct predump_task *task = &predump->tasks[nr];

	for (size_t i = 0; i < nr; i++)
		if (predump->tasks[i].pid == task->status.ppid &&
		    proc_shares_mm(task->pid, predump->tasks[i].pid))
			return error_set(&task->err, CODE_TARGET, NULL,
					 "process %d runs in the memory of process %d", task->pid,
					 predump->tasks[i].pid);
	return 0;
}

/*
 * The bits of all processes are cleared before any page is read. So it does not matter which of them share an address
 * space: it is not cleared again after a part of it was read.
 */
static int open_all(struct predump *predump)
{
	for (size_t i = 0; i < predump->nr; i++) {
		struct predump_task *task = &predump->tasks[i];

		if (predump_task_open(task, predump->opts->backend, predump->uptime_ns / TICK_NS,
				      predump->tracks) || refuse_borrower(predump, i))
			predump_task_close(task);
		/* what one lacks all lack */
		if (task->err.code == CODE_NOT_READY) {
			predump->err = task->err;
			return -1;
		}
	}
	return 0;
}

static int write_one(struct predump *predump, struct predump_task *task)
{
	return predump->opts->server.address ?
	       predump_task_send(task, &predump->uplink.sender) :
	       predump_task_write(task, &predump->dir, predump->parent_fd, &predump->file);
}

/*
 * Only a process that is gone, or another since exec, is left behind. A page server keeps what it got of it, which does no
 * harm: all memory that came after the bits were cleared is new for the next dump, which takes it.
 */
static bool ends_all(const struct predump_task *task)
{
	return error_is_set(&task->err) && task->err.code != CODE_TARGET;
}

static int write_all(struct predump *predump)
{
	for (size_t i = 0; i < predump->nr; i++) {
		struct predump_task *task = &predump->tasks[i];

		if (!task->backend)
			continue;
		write_one(predump, task);
		predump_task_close(task);
		predump_result_task(task);
		/* the disk is full, the page server has gone, or the like */
		if (ends_all(task)) {
			predump->err = task->err;
			return -1;
		}
	}
	return predump->tasks[0].taken ? 0 :
	       error_set(&predump->err, predump->tasks[0].err.code, predump->tasks[0].err.hint, "%s",
			 predump->tasks[0].err.what);
}

static enum predump_mode mode_of(const struct predump *predump)
{
	for (size_t i = 0; i < predump->nr; i++)
		for (size_t j = 0; j < predump->tasks[i].nr_left; j++)
			if (j >= PAGE_LEFT_MAX || !predump->tasks[i].left[j].may_read)
				return PREDUMP_MODE_READ;
	return PREDUMP_MODE_SPLICE;
}

static int publish(struct predump *predump)
{
	struct image_made *made = calloc(predump->nr, sizeof(*made));
	size_t nr = 0;
	int ret;

	if (!made)
		return error_errno(&predump->err, CODE_INTERNAL, NULL, "no memory for the tree");
	for (size_t i = 0; i < predump->nr; i++)
		if (predump->tasks[i].taken)
			made[nr++] = predump->tasks[i].made;
	ret = image_dir_publish(&predump->dir, made, nr, &predump->err);
	free(made);
	return ret;
}

static void drop_all(struct predump *predump)
{
	for (size_t i = 0; i < predump->nr; i++)
		if (predump->tasks[i].taken) {
			if (!predump->opts->server.address)
				image_dir_drop(&predump->dir, &predump->tasks[i].made, 1);
			predump->tasks[i].taken = false;
		}
}

/*
 * Also after a failure: the soft-dirty bits are those since this pre-dump, so that the dump that follows must build on this
 * directory and on no earlier one. Of a process without images here it takes all memory.
 */
static int write_inventory(struct predump *predump, const struct predump_figures *figures)
{
	const struct dump_stats stats = {
		.read_us = figures->ns / 1000, .write_us = figures->ns / 1000,
		.pages_scanned = figures->scanned, .pages_in_parent = figures->same,
		.pages_written = figures->pages,
	};

	return inventory_write(predump->dir.fd, predump->uptime_ns / 1000, mode_of(predump), &predump->err) ||
	       stats_write(predump->dir.fd, &stats, &predump->err) ? -1 : 0;
}

static int predump_all(struct predump *predump, struct predump_figures *figures)
{
	uint64_t begun = clock_now_ns();
	int ret = open_all(predump);

	if (!ret)
		ret = pages_file_init(&predump->file, true, predump->opts->buffered, &predump->err);
	if (!ret)
		ret = write_all(predump);
	if (!ret && predump->opts->server.address)
		ret = page_sender_close(&predump->uplink.sender, &predump->err);
	predump_result_sum(figures, predump->tasks, predump->nr);
	figures->ns = clock_now_ns() - begun;
	figures->direct = predump->file.direct;
	if (write_inventory(predump, figures))
		ret = -1;
	if (!ret && !predump->opts->server.address)
		ret = publish(predump);
	if (ret)
		drop_all(predump);
	pages_file_free(&predump->file);
	return ret;
}

int predump_run(const struct predump_options *opts)
{
	struct predump predump = {
		.opts = opts, .dir.fd = -1, .parent_fd = -1, .uplink = PREDUMP_UPLINK_NONE,
	};
	struct predump_figures figures = { .images_dir = opts->images_dir };
	uint64_t begun = clock_now_ns();

	fds_allow_many();
	predump.tracks = pagemap_tells_writes();
	figures.chains = predump.tracks;
	if (!refuse_chain(&predump) && !open_dirs(&predump) &&
	    !open_uplink(&predump) && !list_tree(&predump))
		predump_all(&predump, &figures);
	if (predump.dir.fd >= 0)
		image_dir_close(&predump.dir);
	if (predump.parent_fd >= 0)
		close(predump.parent_fd);
	predump_uplink_close(&predump.uplink);
	figures.ns = clock_now_ns() - begun;
	predump_result_tell(&figures, predump.tasks, predump.nr, &predump.err);
	for (size_t i = 0; i < predump.nr; i++)
		predump_task_close(&predump.tasks[i]);
	free(predump.tasks);
	return predump.err.code;
}
