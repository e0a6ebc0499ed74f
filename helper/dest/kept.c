// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/spread.h"
#include "dest/kept.h"
#include "dest/kept_addresses.h"
#include "dest/mirror.h"
#include "dest/nsinit.h"
#include "os/cgroup_homes.h"
#include "os/cgroup_members.h"
#include "os/fds.h"
#include "os/pending.h"
#include "wire/conn.h"
#include "wire/message.h"

#define SPEAK_MS	1000	/* so long a source may take no byte before it is given up */

/* The keeper process's own state. */
struct kept {
	struct keeper_loop loop;
	const struct owned_dir *dir;
	struct conn control;	/* a duplicate of the helper's connection; -1: none, or the program runs */
	const struct cgroup *group;
	struct ledger ledger;
	struct nsinit ns;
	int *fds;		/* index: handle; -1: free */
	size_t nr_fds;
	struct error not_held;	/* why a descriptor could not be held */
	int signal;		/* by which the program was killed, 0 */
	struct kept_addresses addresses;
	bool committed;
};

static int kept_make_room(struct kept *kept, size_t nr)
{
	size_t room = 2 * kept->nr_fds > nr ? 2 * kept->nr_fds : nr;
	int *fds = realloc(kept->fds, room * sizeof(*fds));

	if (!fds)
		return -1;
	for (size_t i = kept->nr_fds; i < room; i++)
		fds[i] = -1;
	kept->fds = fds;
	kept->nr_fds = room;
	return 0;
}

/* Return: true when the keeper has @fd now */
static bool kept_hold(struct kept *kept, int fd, int handle)
{
	if (fd < 0 || handle < 0 ||
	    ((size_t)handle >= kept->nr_fds && kept_make_room(kept, handle + 1))) {
		error_set(&kept->not_held, CODE_INTERNAL, NULL,
			  "the keeper cannot hold one more descriptor");
		return false;
	}
	kept->fds[handle] = fd;
	return true;
}

/* Nobody waited for an answer. */
static int kept_holds_all(const struct kept *kept, struct error *err)
{
	if (!error_is_set(&kept->not_held))
		return 0;
	*err = kept->not_held;
	return -1;
}

static void kept_release(struct kept *kept, int handle)
{
	if (handle < 0 || (size_t)handle >= kept->nr_fds || kept->fds[handle] < 0)
		return;
	close(kept->fds[handle]);
	kept->fds[handle] = -1;
}

static void kept_release_all(struct kept *kept)
{
	for (size_t i = 0; i < kept->nr_fds; i++)
		kept_release(kept, i);
}

static int kept_spawn(struct kept *kept, const struct keeper_turn *turn, struct keeper_msg *answer)
{
	struct nsinit_plan plan;
	int rpc_fd = -1;

	if (keeper_data_read(turn->fds[0], &plan, sizeof(plan))) {
		error_errno(&answer->err, CODE_INTERNAL, NULL, "the keeper cannot read what is to be started");
		return -1;
	}
	if (cgroup_make(kept->group, &answer->err))
		return -1;
	if (nsinit_start(&kept->ns, &plan, kept->group, &rpc_fd, &answer->err)) {
		nsinit_kill(&kept->ns, &answer->err);
		return -1;
	}
	answer->value = kept->ns.pid;
	return rpc_fd;
}

/* The restored tasks die before they have run. */
static void kept_kill(struct kept *kept, struct error *err)
{
	/* the v1 freezer keeps killed tasks, and the init waits for them */
	cgroup_kill(kept->group, err);
	nsinit_kill(&kept->ns, err);
}

/*
 * A file of /dev/shm that nobody was started for, by whatever name it has (dest/shm.h). One of a tmpfs of the program's own
 * may seem to have such a name, which is that of another file here.
 */
static void kept_unlink(int fd)
{
	char link[48], name[PATH_MAX];
	struct stat st, named;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = 0;
	if (mirror_path_is_plain(name) && !fstat(fd, &st) && !lstat(name, &named) && st.st_dev == named.st_dev &&
	    st.st_ino == named.st_ino)
		unlink(name);
}

/* The tasks are dead: as long as one lived, its missing pages must not read as zeros. */
static void kept_clean_up(struct kept *kept)
{
	cgroup_remove(kept->group, KEPT_GROUP_TIMEOUT_MS);
	kept_addresses_forget(&kept->addresses, !kept->ns.pid);
	for (size_t i = 0; i < kept->nr_fds; i++)
		if (kept->fds[i] >= 0)
			kept_unlink(kept->fds[i]);
	kept_release_all(kept);
	owned_dir_remove(kept->dir);
}

static void kept_forget_control(struct kept *kept)
{
	conn_close(&kept->control);
}

/*
 * The helper cannot tell the source any more. When the tasks are dead only the keeper knows
 * that none of them ever ran, and the source may have recorded COMMIT meanwhile. A message that the
 * helper left half-written makes the Abort unreadable; the source is then in doubt, as without it.
 * @gone: set when the tasks could not be killed
 */
static void kept_speak(struct kept *kept, const struct error *gone)
{
	struct error why = { 0 }, ignored = { 0 };
	size_t bytes;
	uint8_t *buf;

	if (!conn_is_open(&kept->control))
		return;
	error_set(&why, CODE_INTERNAL, NULL, "the destination's helper was killed");
	buf = message_pack_abort(&why, !error_is_set(gone), &bytes, &ignored);
	if (buf)
		conn_write(&kept->control, buf, bytes, SPEAK_MS, &ignored);
	free(buf);
	shutdown(kept->control.fd, SHUT_WR);
}

/* A close with messages unread would be a reset, which drops an Abort that is still on its way. */
static void kept_hang_up(struct kept *kept)
{
	struct error ignored = { 0 };
	int64_t until_ms = clock_now_ms() + SPEAK_MS;
	char byte;

	while (conn_is_open(&kept->control) && clock_now_ms() <= until_ms)
		if (conn_read(&kept->control, &byte, 1, SPEAK_MS, &ignored))
			break;
	kept_forget_control(kept);
}

/* The helper died before COMMIT reached this keeper. */
static void kept_abort_alone(struct kept *kept)
{
	struct error gone = { 0 };

	kept_kill(kept, &gone);
	/* before all else: the program stands at the source */
	kept_speak(kept, &gone);
	if (!error_is_set(&gone))
		ledger_set(&kept->ledger, LEDGER_ABORTED, &(struct error){ 0 });
	kept_clean_up(kept);
	kept_hang_up(kept);
}

static int leave_for_home(const struct cgroup *group, pid_t pid)
{
	return cgroup_move(group->home, pid);
}

void kept_group_leave(const struct cgroup *group)
{
	/* a group of the program's that cannot be made here is no reason against the program */
	if (!cgroup_empty(group, cgroup_homes_back) || !cgroup_empty(group, leave_for_home))
		cgroup_remove(group, KEPT_GROUP_TIMEOUT_MS);
}

/** struct living - a look at the processes @pids; @alive: so many were not killed */
struct living {
	pid_t *pids;
	atomic_size_t alive;
};

static int count_alive(void *ctx, size_t at, struct error *err)
{
	struct living *living = ctx;
	uint64_t mask;

	if (!pending_read(living->pids[at], &mask, &(struct error){ 0 }) && !pending_has(mask, SIGKILL))
		atomic_fetch_add(&living->alive, 1);
	return 0;
}

int kept_check_alive(const struct cgroup *group, size_t expected, struct error *err)
{
	struct living living = { 0 };
	size_t nr, alive;

	if (cgroup_pids(group, &living.pids, &nr, err))
		return -1;
	spread_run(nr, count_alive, &living, err);
	free(living.pids);
	alive = atomic_load(&living.alive);
	if (!alive)
		return error_set(err, CODE_TARGET, NULL,
				 "the restored program was killed before it was started");
	return alive >= expected && alive == nr ? 0 :
	       error_set(err, CODE_TARGET, NULL,
			 "%zu of the %zu restored processes were killed before they were started",
			 (expected > nr ? expected : nr) - alive, expected > nr ? expected : nr);
}

static void kept_close(struct kept *kept, const struct keeper_turn *turn, struct error *err)
{
	if (keeper_data_read(turn->fds[0], &kept->addresses, sizeof(kept->addresses)))
		error_errno(err, CODE_INTERNAL, NULL, "the keeper cannot read the addresses");
	else
		kept_addresses_close(&kept->addresses, err);
}

static void kept_commit(struct kept *kept, size_t nr_processes, struct keeper_msg *answer)
{
	if (!kept_holds_all(kept, &answer->err) &&
	    !kept_check_alive(kept->group, nr_processes, &answer->err) &&
	    !ledger_set(&kept->ledger, LEDGER_STARTED, &answer->err) &&
	    !nsinit_commit(&kept->ns, &answer->err) &&
	    !cgroup_thaw(kept->group, &answer->err)) {
		answer->value = true;
		kept_addresses_open(&kept->addresses);
		kept_forget_control(kept);
		return;
	}
	kept->committed = false;
	kept_kill(kept, &(struct error){ 0 });
	cgroup_remove(kept->group, KEPT_GROUP_TIMEOUT_MS);
}

static bool kept_reap(struct kept *kept)
{
	int status;

	if (!kept->ns.pid || waitpid(kept->ns.pid, &status, WNOHANG) != kept->ns.pid)
		return false;
	kept->ns.pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) > NSINIT_SIGNALLED)
		kept->signal = WEXITSTATUS(status) - NSINIT_SIGNALLED;
	else if (WIFSIGNALED(status))
		/* the kernel killed the program with its init */
		kept->signal = WTERMSIG(status);
	return true;
}

static bool kept_request(void *ctx, struct keeper_turn *turn)
{
	const struct keeper_msg *msg = &turn->request;
	struct keeper_msg *answer = &turn->answer;
	struct kept *kept = ctx;

	switch ((enum keeper_op)msg->op) {
	case KEEPER_HOLD:
		if (kept_hold(kept, turn->fds[0], msg->value))
			turn->fds[0] = -1;
		turn->quiet = true;
		break;
	case KEEPER_HOLDS_ALL:
		kept_holds_all(kept, &answer->err);
		break;
	case KEEPER_RELEASE:
		kept_release(kept, msg->value);
		turn->quiet = true;
		break;
	case KEEPER_SPEAK:
		kept->control.fd = turn->fds[0];
		turn->fds[0] = -1;
		break;
	case KEEPER_SPAWN:
		turn->answer_fd = kept_spawn(kept, turn, answer);
		break;
	case KEEPER_CLOSE:
		kept_close(kept, turn, &answer->err);
		break;
	case KEEPER_LEND:
		nsinit_lend(&kept->ns, turn->fds[0], &answer->value, &answer->err);
		break;
	case KEEPER_COMMIT:
		/* before anything can run: from here on nothing is killed any more */
		kept->committed = true;
		kept_commit(kept, msg->value, answer);
		break;
	case KEEPER_ABORT:
		if (kept->committed)
			error_set(&answer->err, CODE_INTERNAL, NULL, "COMMIT was said already");
		else
			kept_kill(kept, &answer->err);
		break;
	case KEEPER_SAID:
		kept_clean_up(kept);
		return false;
	case KEEPER_DONE:
		kept_reap(kept);
		answer->value = kept->signal;
		kept_release_all(kept);
		owned_dir_remove(kept->dir);
		return false;
	}
	return true;
}

static void kept_answered(void *ctx, const struct keeper_turn *turn)
{
	struct kept *kept = ctx;

	if (turn->answer.op != KEEPER_COMMIT || !turn->answer.value)
		return;
	/* the first announcement may be lost */
	kept_addresses_announce(&kept->addresses);
	kept_group_leave(kept->group);
	/* CRIU's images are of no use any more, and take memory */
	owned_dir_remove(kept->dir);
}

static bool kept_alone(void *ctx)
{
	struct kept *kept = ctx;

	if (!kept->committed)
		kept_abort_alone(kept);
	else if (kept->ns.pid)
		return true;
	owned_dir_remove(kept->dir);
	return false;
}

/* Without a helper and without tasks there is nothing to hold for. */
static bool kept_child_ended(void *ctx)
{
	struct kept *kept = ctx;

	if (!kept_reap(kept) || kept->loop.sock >= 0)
		return true;
	ledger_set(&kept->ledger, LEDGER_ENDED, &(struct error){ 0 });
	owned_dir_remove(kept->dir);
	return false;
}

static void kept_begin(void *ctx)
{
	fds_allow_many();
}

static const struct keeper_ops kept_ops = {
	.begin = kept_begin, .request = kept_request, .answered = kept_answered,
	.alone = kept_alone, .child_ended = kept_child_ended,
};

int kept_start(struct keeper_process *process, const struct owned_dir *dir,
	       const struct cgroup *group, const struct ledger *ledger, struct error *err)
{
	struct kept kept = {
		.loop = { .ops = &kept_ops, .ctx = &kept, .keep = { dir->base_fd, dir->fd, ledger->fd } },
		.dir = dir, .group = group, .ledger = *ledger, .control = CONN_NONE, .ns = { .sock = -1 },
	};

	return keeper_process_start(process, &kept.loop, err);
}
