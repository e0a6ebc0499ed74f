// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "session/keeper.h"
#include "source/keeper.h"
#include "source/kept.h"

#define UNGUARD_TIMEOUT_MS	5000	/* the program stands meanwhile */

/**
 * struct source_keeper - the helper's end
 * @lock_fd: the helper's shared lock on the record of COMMIT; -1: there is none
 * @guard_lock_fd: the same of the guard's record
 */
struct source_keeper {
	struct keeper_process process;
	int lock_fd, guard_lock_fd;
	char dir[PATH_MAX];
};

struct source_keeper *source_keeper_start(const struct record *record, const char *dir,
					  struct error *err)
{
	struct source_keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
		return NULL;
	}
	keeper->lock_fd = keeper->guard_lock_fd = -1;
	snprintf(keeper->dir, sizeof(keeper->dir), "%s", dir);
	if (source_kept_start(&keeper->process, record, dir, err)) {
		free(keeper);
		return NULL;
	}
	return keeper;
}

int source_keeper_fd(const struct source_keeper *keeper)
{
	return keeper->process.sock;
}

static int keeper_do_with(struct source_keeper *keeper, enum source_keeper_op op, int value,
			  const int *fds, size_t nr_fds, int timeout_ms, struct error *err)
{
	struct keeper_msg msg = { .op = op, .value = value };
	enum keeper_answer answer = keeper_process_ask(&keeper->process, &msg, fds, nr_fds, NULL,
						       timeout_ms, err);

	/* a keeper that gave no answer must not act on the request later */
	if (answer == KEEPER_SILENT) {
		keeper_process_kill(&keeper->process);
		keeper_process_wait(&keeper->process, -1);
	}
	return answer == KEEPER_OK ? 0 : -1;
}

static int keeper_do(struct source_keeper *keeper, enum source_keeper_op op, int timeout_ms,
		     struct error *err)
{
	return keeper_do_with(keeper, op, timeout_ms, NULL, 0, timeout_ms, err);
}

int source_keeper_keep(struct source_keeper *keeper, int session_fd, int uffd, struct error *err)
{
	const int fds[] = { session_fd, uffd };

	return keeper_do_with(keeper, OP_KEEP, session_fd, fds, uffd >= 0 ? 2 : 0, KEEPER_ANSWER_MS,
			      err);
}

int source_keeper_throttle(struct source_keeper *keeper, long quota_us, struct error *err)
{
	return keeper_do_with(keeper, OP_THROTTLE, quota_us, NULL, 0, UNGUARD_TIMEOUT_MS, err);
}

int source_keeper_enter(struct source_keeper *keeper, int timeout_ms, struct error *err)
{
	return keeper_do_with(keeper, OP_ENTER, timeout_ms, NULL, 0, UNGUARD_TIMEOUT_MS, err);
}

int source_keeper_guard(struct source_keeper *keeper, int timeout_ms, struct error *err)
{
	int ret = keeper_do(keeper, OP_GUARD, timeout_ms, err);

	if (keeper->guard_lock_fd < 0)
		keeper->guard_lock_fd = record_lock(keeper->dir, RECORD_GUARD);
	return ret;
}

int source_keeper_unguard(struct source_keeper *keeper, struct error *err)
{
	if (keeper->guard_lock_fd >= 0)
		close(keeper->guard_lock_fd);
	keeper->guard_lock_fd = -1;
	return keeper_do(keeper, OP_UNGUARD, UNGUARD_TIMEOUT_MS, err);
}

int source_keeper_lock(struct source_keeper *keeper, const struct net_addresses *addresses,
		       struct error *err)
{
	int fd = keeper_data_fd(addresses, sizeof(*addresses)), ret;

	if (fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot tell the keeper the addresses");
	ret = keeper_do_with(keeper, OP_LOCK, NET_FILTER_TCP, &fd, 1, KEEPER_ANSWER_MS, err);
	close(fd);
	return ret;
}

int source_keeper_commit(struct source_keeper *keeper, int timeout_ms, bool *recorded,
			 struct error *err)
{
	int ret = keeper_do(keeper, OP_COMMIT, timeout_ms, err);

	/* a keeper without an answer is dead by now: the record will not come any more */
	keeper->lock_fd = record_lock(keeper->dir, RECORD_COMMIT);
	*recorded = !ret || keeper->lock_fd >= 0;
	return ret;
}

int source_keeper_uncommit(struct source_keeper *keeper, struct error *err)
{
	struct error why = { 0 };

	if (!keeper_do(keeper, OP_UNCOMMIT, UNGUARD_TIMEOUT_MS, &why))
		return 0;
	return record_remove(keeper->dir, RECORD_COMMIT, err);
}

int source_keeper_kill(struct source_keeper *keeper, struct error *err)
{
	return keeper_do(keeper, OP_KILL, KEEPER_ANSWER_MS, err);
}

void source_keeper_end(struct source_keeper *keeper, bool keep_log)
{
	if (!keeper)
		return;
	if (keeper_do_with(keeper, OP_END, keep_log, NULL, 0, KEEPER_ANSWER_MS,
			   &(struct error){ 0 }))
		source_kept_remove_dir(keeper->dir, keep_log);
	else
		keeper_process_wait(&keeper->process, -1);
	if (keeper->lock_fd >= 0)
		close(keeper->lock_fd);
	if (keeper->guard_lock_fd >= 0)
		close(keeper->guard_lock_fd);
	keeper_process_close(&keeper->process);
	free(keeper);
}
