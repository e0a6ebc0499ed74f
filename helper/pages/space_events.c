// SPDX-License-Identifier: GPL-2.0
/*
 * Events of a userfaultfd: page faults, and changes of the task's mappings.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "pages/epoch.h"
#include "pages/journal.h"
#include "os/uffd.h"
#include "pages/sets.h"
#include "pages/space_events.h"

#define BLOCKED_MS	3000
#define WAKE_FROM	0x100000UL	/* no mapping is below vm.mmap_min_addr */

/*
 * An mremap() of locked memory touches the pages that it adds before it queues REMAP. The kernel
 * refuses ZEROPAGE until REMAP is read, and mremap() waits for the page: a deadlock. The page is
 * not in todo, and no REMAP has moved one here, since such a REMAP would have been read long ago.
 * So take the page out of the userfaultfd: the kernel then gives it zeros.
 */
static enum install let_through(struct space_set *set, struct space *space, uint64_t addr)
{
	if (space->blocked_ms < BLOCKED_MS || uffd_unregister(space->uffd, addr, PAGE_BYTES))
		return INSTALL_AGAIN;
	set->zero++;
	return INSTALL_OK;
}

static enum install resolve_zero(struct space_set *set, struct space *space, uint64_t addr)
{
	uint64_t done;

	switch (uffd_zero(space->uffd, addr, 1, &done)) {
	case UFFD_OK:
		set->zero++;
		return INSTALL_OK;
	case UFFD_EXISTS:
	case UFFD_NO_VMA:
		/* populated or unmapped meanwhile: the task looks again */
		uffd_wake(space->uffd, addr, PAGE_BYTES);
		return INSTALL_OK;
	case UFFD_AGAIN:
		space->blocked = true;
		return let_through(set, space, addr);
	case UFFD_GONE:
		return INSTALL_GONE;
	case UFFD_FAILED:
		break;
	}
	return INSTALL_FAILED;
}

/*
 * INSTALL_AGAIN has two reasons. When the page is still on its way, the thread that receives the
 * page installs it. When events are pending, @set->retry makes the owner come back.
 */
static int resolve_fault(struct space_set *set, struct space *space, const struct space_fault *fault,
			 struct error *err)
{
	uint64_t addr = fault->addr;
	enum install ret;

	if (space->gone || space->uffd < 0)
		return 0;
	if (space->lost)
		return space_wait(space, fault, err);
	if (page_set_has(&space->todo, addr)) {
		ret = set->ops->fill(set, space, addr, err);
		/* AGAIN may concern only the neighbours of the page */
		if (ret == INSTALL_AGAIN && !page_set_has(&space->todo, addr))
			ret = INSTALL_OK;
	} else if (space->born_of) {
		/* the parent's REMAP that moved this page before the fork may still come */
		ret = INSTALL_AGAIN;
		set->retry = true;
	} else {
		ret = resolve_zero(set, space, addr);
		if (ret == INSTALL_AGAIN)
			set->retry = true;
	}
	switch (ret) {
	case INSTALL_OK:
		answered_add(&set->answered, fault->read_ns);
		return 0;
	case INSTALL_AGAIN:
		return space_wait(space, fault, err);
	case INSTALL_GONE:
		set->ops->bury(set, space);
		return 0;
	case INSTALL_FAILED:
		break;
	}
	return error_errno(err, CODE_INTERNAL, NULL, "cannot resolve the fault at 0x%lx", addr);
}

/* The task has dropped or unmapped the range: its pages leave todo. */
static void forget(struct space_set *set, struct space *space, uint64_t addr, uint64_t end)
{
	struct run run;

	while (addr < end && page_set_next(&space->todo, addr, end, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		page_set_remove(&space->todo, run.addr, run.nr_pages);
		set->ops->release(set, origin, run.nr_pages);
		addr = run_end(&run);
	}
	if (space->nr_waiting)
		set->retry = true;
}

static int forked(struct space_set *set, struct space *parent, int uffd, struct error *err)
{
	struct space *space = space_fork(parent, err);

	if (!space) {
		/* no thread answers the child's faults: it waits for ever rather than read zeros */
		return -1;
	}
	space->uffd = uffd;
	space->number = journal_space(set->journal);
	if (space_set_add(set, space, err))
		return -1;
	if (epoch_forked(set, parent, space, err)) {
		space->lost = true;
		return -1;
	}
	set->ops->more(set);
	return set->ops->born(set, space, err);
}

/* Record a change of the task's mappings. */
static int record(struct space_set *set, struct space *space, const struct uffd_msg *msg,
		  struct error *err)
{
	uint64_t addr, bytes;

	space->in_epoch = true;
	space->blocked_ms = 0;
	switch (msg->event) {
	case UFFD_EVENT_FORK:
		return forked(set, space, msg->arg.fork.ufd, err);
	case UFFD_EVENT_REMAP:
		addr = msg->arg.remap.to;
		if (epoch_covers(space, msg->arg.remap.from, addr, msg->arg.remap.len, err))
			return -1;
		bytes = epoch_moved_end(msg->arg.remap.from, addr, msg->arg.remap.len) - addr;
		forget(set, space, addr, addr + bytes);
		if (epoch_moved(set, space, msg->arg.remap.from, addr, bytes, err))
			return -1;
		return space_move(space, msg->arg.remap.from, addr, bytes, err);
	case UFFD_EVENT_REMOVE:
		forget(set, space, msg->arg.remove.start, msg->arg.remove.end);
		return 0;
	case UFFD_EVENT_UNMAP:
		set->retry |= space->nr_waiting;
		return epoch_unmapped(set, space, msg->arg.remove.start, msg->arg.remove.end, err);
	}
	return error_set(err, CODE_INTERNAL, NULL, "unknown userfaultfd event 0x%x", msg->event);
}

static int act(struct space_set *set, struct space *space, const struct uffd_msg *msg,
	       struct error *err)
{
	int ret;

	if (msg->event == UFFD_EVENT_PAGEFAULT) {
		const struct space_fault fault = {
			.addr = msg->arg.pagefault.address & ~(PAGE_BYTES - 1), .read_ns = clock_now_ns(),
		};

		set->faults++;
		return resolve_fault(set, space, &fault, err);
	}
	ret = record(set, space, msg, err);
	if (ret)
		journal_break(set->journal);
	/* a lost FORK concerns the child alone */
	if (ret && msg->event != UFFD_EVENT_FORK)
		space->lost = true;
	return ret;
}

int space_events_read(struct space_set *set, struct space *space, struct error *err)
{
	struct uffd_msg msgs[JOURNAL_EVENTS];
	int ret = 0;

	while (!ret && !space->gone && space->uffd >= 0) {
		ssize_t bytes = journal_read(set->journal, space->number, space->uffd, msgs);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0 && errno == EAGAIN)
			break;
		if (bytes <= 0)
			return error_errno(err, CODE_INTERNAL, NULL, "cannot read a userfaultfd");
		/* act on all messages also after a failure: the kernel does not repeat them */
		for (size_t i = 0; i < bytes / sizeof(*msgs); i++) {
			journal_took(set->journal, i);
			if (act(set, space, &msgs[i], err))
				ret = -1;
		}
	}
	epoch_try_end(set, space);
	if (space->gone && space->uffd >= 0)
		set->ops->bury(set, space);
	return ret;
}

/* Count milliseconds with a look, which are fewer than have passed if the machine stood still. */
static void count_blocked(struct space *space)
{
	uint64_t ms = clock_now_ms();

	if (!space->blocked)
		space->blocked_ms = 0;
	else if (ms != space->looked_ms)
		space->blocked_ms++;
	space->looked_ms = ms;
}

static int retry_space(struct space_set *set, struct space *space, struct error *err)
{
	struct space_fault *waiting = space->waiting;
	size_t nr = space->nr_waiting;
	int ret = 0;

	space->waiting = NULL;
	space->nr_waiting = 0;
	space->cap_waiting = 0;
	space->blocked = false;
	for (size_t i = 0; i < nr; i++)
		if (resolve_fault(set, space, &waiting[i], err))
			ret = -1;
	free(waiting);
	if (nr)
		count_blocked(space);
	return ret;
}

int space_events_retry(struct space_set *set, struct error *err)
{
	int ret = 0;

	set->retry = false;
	for (size_t i = 0; i < set->nr; i++) {
		if (space_events_read(set, set->list[i], err) ||
		    retry_space(set, set->list[i], err))
			ret = -1;
	}
	return ret;
}

int space_replay(struct space *space, const struct journal_entry *entry, int child_uffd, struct error *err)
{
	struct uffd_msg msg;

	switch (entry->op) {
	case JOURNAL_EVENT:
		memcpy(&msg, entry->args, sizeof(msg));
		if (msg.event == UFFD_EVENT_FORK)
			msg.arg.fork.ufd = child_uffd;
		return record(space->set, space, &msg, err);
	case JOURNAL_SETTLED:
		page_set_remove(&space->todo, entry->args[0], entry->args[1]);
		break;
	case JOURNAL_SURE:
		space->unsure.nr--;
		break;
	case JOURNAL_EPOCH_END:
		epoch_end(space->set, space);
		break;
	case JOURNAL_BURY:
		space->set->ops->bury(space->set, space);
		break;
	}
	return 0;
}

int space_act(struct space *space, const struct uffd_msg *msg, struct error *err)
{
	return act(space->set, space, msg, err);
}

void space_wake_all(const struct space *space)
{
	uffd_wake(space->uffd, WAKE_FROM, USER_END - PAGE_BYTES - WAKE_FROM);
}
