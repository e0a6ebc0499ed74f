// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "pages/sets.h"
#include "pages/space_events.h"
#include "services/lazy_task.h"

#define AROUND_PAGES	32	/* most pages that are asked for, or installed, for one fault */

static struct lazy_task *task_of(struct space_set *set)
{
	return (struct lazy_task *)set;
}

static enum install fill(struct space_set *set, struct space *space, uint64_t addr, struct error *err)
{
	return lazy_memory_want(task_of(set)->memory, space, addr, AROUND_PAGES, true, err);
}

/* The source has each page as long as it is connected: nothing is kept for it here. */
static void release(struct space_set *set, uint64_t origin, uint64_t nr_pages)
{
}

static void more(struct space_set *set)
{
}

static int born(struct space_set *set, struct space *child, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = child };

	/* a journal tells of a child that has ended */
	if (child->uffd < 0)
		return 0;
	if (epoll_ctl(task_of(set)->epoll, EPOLL_CTL_ADD, child->uffd, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for a userfaultfd");
	return 0;
}

static void close_uffd(struct lazy_task *task, struct space *space)
{
	if (space->uffd < 0)
		return;
	/* the keeper's duplicate keeps the file: epoll would go on reporting it */
	epoll_ctl(task->epoll, EPOLL_CTL_DEL, space->uffd, NULL);
	close(space->uffd);
	space->uffd = -1;
}

static void bury(struct space_set *set, struct space *space)
{
	space->gone = true;
	task_of(set)->lost |= space->todo.nr != 0;
	journal_add(set->journal, JOURNAL_BURY, space->number, 0, 0, 0);
	close_uffd(task_of(set), space);
	space_set_empty_todo(set, space);
}

static const struct space_set_ops task_ops = {
	.fill = fill, .release = release, .more = more, .born = born, .bury = bury,
};

static int take_space(struct lazy_task *task, uint32_t restore, int uffd, struct error *err)
{
	struct space *space = space_new(uffd, err);

	if (!space)
		return -1;
	space->ready = false;
	space->number = journal_space(task->set.journal);
	journal_add(task->set.journal, JOURNAL_ROOT, space->number, uffd, task->memory->pid, restore);
	if (page_chain_lacking(&task->memory->images, &space->todo, err)) {
		space_free(space);
		return -1;
	}
	return space_set_add(&task->set, space, err) || born(&task->set, space, err) ||
	       lazy_memory_add(task->memory, &task->set, err) ? -1 : 0;
}

struct lazy_task *lazy_task_new(struct lazy_memory *memory, int epoll, struct journal *journal, uint32_t restore,
				int uffd, struct error *err)
{
	struct lazy_task *task = calloc(1, sizeof(*task));

	if (!task) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a task");
		if (uffd >= 0)
			close(uffd);
		return NULL;
	}
	task->set.ops = &task_ops;
	task->set.journal = journal;
	task->memory = memory;
	task->epoll = epoll;
	if (!take_space(task, restore, uffd, err))
		return task;
	journal_break(journal);
	if (!task->set.nr && uffd >= 0)
		close(uffd);
	lazy_task_free(task);
	return NULL;
}

void lazy_task_ready(struct lazy_task *task)
{
	for (size_t i = 0; i < task->set.nr; i++)
		task->set.list[i]->ready = true;
	task->set.retry = true;
}

int lazy_task_events(struct lazy_task *task, struct space *space, struct error *err)
{
	return space_events_read(&task->set, space, err);
}

int lazy_task_retry(struct lazy_task *task, struct error *err)
{
	return space_events_retry(&task->set, err);
}

static int step(struct lazy_task *task, struct space *space, uint64_t nr_pages, struct error *err)
{
	uint64_t origin;
	struct run run;

	if (!space->todo.nr || space->gone || space->lost || !space->ready)
		return 0;
	/* pages before the cursor may lack still: of a child, or after a connection was lost */
	if (!lazy_memory_next(task->memory, space, space->cursor, USER_END, nr_pages, &run, &origin) &&
	    !lazy_memory_next(task->memory, space, 0, USER_END, nr_pages, &run, &origin))
		return 0;
	switch (lazy_memory_want(task->memory, space, run.addr, run.nr_pages, false, err)) {
	case INSTALL_FAILED:
		return -1;
	case INSTALL_GONE:
		bury(&task->set, space);
		return 1;
	case INSTALL_AGAIN:
		if (!task->memory->link)
			return 0;
		/* fall through */
	case INSTALL_OK:
		break;
	}
	space->cursor = run_end(&run);
	return 1;
}

int lazy_task_background(struct lazy_task *task, uint64_t nr_pages, struct error *err)
{
	for (size_t i = 0; i < task->set.nr; i++) {
		int ret;

		if (task->at >= task->set.nr)
			task->at = 0;
		ret = step(task, task->set.list[task->at], nr_pages, err);
		if (ret)
			return ret;
		task->at++;
	}
	return 0;
}

bool lazy_task_is_done(const struct lazy_task *task)
{
	for (size_t i = 0; i < task->set.nr; i++) {
		const struct space *space = task->set.list[i];

		if (!space->gone && (space->todo.nr || space->past.nr || space->in_epoch || space->lost))
			return false;
	}
	return true;
}

bool lazy_task_is_gone(const struct lazy_task *task)
{
	for (size_t i = 0; i < task->set.nr; i++)
		if (!task->set.list[i]->gone)
			return false;
	return true;
}

void lazy_task_probe(struct lazy_task *task)
{
	for (size_t i = 0; i < task->set.nr; i++)
		if (task->set.list[i]->uffd >= 0 && space_probe(task->set.list[i]))
			bury(&task->set, task->set.list[i]);
}

uint64_t lazy_task_lacks(const struct lazy_task *task)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < task->set.nr; i++)
		nr += task->set.list[i]->gone ? 0 : task->set.list[i]->todo.nr;
	return nr;
}

void lazy_task_free(struct lazy_task *task)
{
	lazy_memory_remove(task->memory, &task->set);
	for (size_t i = 0; i < task->set.nr; i++)
		close_uffd(task, task->set.list[i]);
	space_set_free(&task->set);
	free(task);
}
