// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "dest/commit.h"
#include "dest/faults.h"
#include "dest/migration.h"
#include "dest/parent.h"
#include "dest/receive.h"
#include "dest/restore.h"
#include "dest/setup.h"
#include "dest/spaces.h"
#include "dest/tell.h"
#include "dest/watchdog.h"
#include "os/fds.h"
#include "os/service.h"

#define POLL_MS	200

/** struct migration - the objects of a migration; only this file knows the struct */
struct migration {
	const struct serve_options *opts;
	int parent_sock;
	struct keeper *keeper;
	struct ledger ledger;
	struct lazy_server *lazy;
	struct budget budget;
	struct images images;
	struct peer peer;
	struct objects objects;
	struct program program;
	struct watchdog watchdog;
	struct faults faults;
	struct populate populate;
	struct setup setup;
	struct receive receive;
	struct restore restore;
	struct commit commit;
};

/* Hook of an mm. */

static int hold_uffd(void *ctx, int uffd, int *handle, struct error *err)
{
	struct migration *migration = ctx;

	return keeper_hold(migration->keeper, uffd, handle, err);
}

static int holds_all(void *ctx, struct error *err)
{
	struct migration *migration = ctx;

	return keeper_holds_all(migration->keeper, err);
}

static void release_uffd(void *ctx, int handle)
{
	struct migration *migration = ctx;

	keeper_release(migration->keeper, handle);
}

static int watch_uffd(void *ctx, struct space *space, bool on, struct error *err)
{
	struct migration *migration = ctx;

	return faults_watch(&migration->faults, space, on, err);
}

static void kick_faults(void *ctx, struct mm *mm)
{
	struct migration *migration = ctx;

	faults_kick(&migration->faults, mm);
}

static void wake_populate(void *ctx)
{
	struct migration *migration = ctx;

	populate_wake(&migration->populate);
}

/* Hook of the peer. */

static void cancel_restore(void *ctx)
{
	struct migration *migration = ctx;

	restore_cancel(&migration->restore);
}

static void give_up_pages(void *ctx)
{
	struct migration *migration = ctx;

	objects_fail(&migration->objects);
	receive_fail(&migration->receive);
}

/* Hooks of the threads of faults and of populate. */

static int take_uffd(void *ctx, pid_t pid, int uffd, struct error *err)
{
	struct migration *migration = ctx;
	struct mm *mm = objects_mm_of(&migration->objects, pid);

	if (mm)
		return spaces_attach(mm, uffd, err);
	/* a zombie has no memory */
	if (uffd < 0)
		return 0;
	close(uffd);
	return error_set(err, CODE_CRIU, NULL,
			 "CRIU handed over the memory of task %d, which was not announced", pid);
}

static void restored(void *ctx)
{
	struct migration *migration = ctx;

	mailbox_set(&migration->peer.box, &migration->restore.restored);
}

static void thread_failed(void *ctx, const struct error *err)
{
	struct migration *migration = ctx;

	peer_fail(&migration->peer, err);
}

/* Hooks of RECEIVE. */

static int take_objects(void *ctx, const Migrate__Objects *said, struct error *err)
{
	struct migration *migration = ctx;

	/* first what is gone: a process that called exec has a new address space, and the same pid */
	for (size_t i = 0; i < said->n_gone; i++)
		if (objects_end(&migration->objects, said->gone[i], err))
			return -1;
	return setup_add_objects(&migration->objects, said->begun, said->n_begun, err);
}

static int take_maps(void *ctx, const Migrate__Maps *maps, struct error *err)
{
	struct migration *migration = ctx;
	struct mm *mm = objects_mm(&migration->objects, maps->object);

	return mm ? setup_announce(mm, maps->vmas, maps->n_vmas, err) :
	       error_set(err, CODE_PEER, NULL,
			 "the source sent mappings of object %u, which it did not announce",
			 maps->object);
}

static int take_needs(void *ctx, const Migrate__Needs *needs, struct error *err)
{
	struct migration *migration = ctx;

	return setup_take_needs(&migration->setup, needs, err);
}

static int take_go(void *ctx, const Migrate__RestoreGo *go, struct error *err)
{
	struct migration *migration = ctx;

	frozen_time_enter(&migration->restore.frozen, MIGRATE__FROZEN_PART__AWAIT_LISTS);
	return program_take(&migration->program, go, objects_nr(&migration->objects), err) ||
	       shm_take(&migration->restore.shm, go, err) ? -1 : 0;
}

static void link_lost(void *ctx)
{
	struct migration *migration = ctx;

	receive_end_urgent(&migration->receive);
}

static void stop_threads(void *ctx)
{
	struct migration *migration = ctx;

	mailbox_close(&migration->peer.box);
	receive_stop(&migration->receive);
	populate_stop(&migration->populate);
	faults_stop(&migration->faults);
}

/* Make and connect the objects that need only memory. */
static void wire_pages(struct migration *m)
{
	const struct mm_hooks mm = {
		.hold = hold_uffd, .holds_all = holds_all, .release = release_uffd, .watch = watch_uffd,
		.kick = kick_faults, .work = wake_populate, .ctx = m,
	};
	const struct faults_hooks faults = {
		.attach = take_uffd, .restored = restored, .failed = thread_failed, .ctx = m,
	};
	const struct populate_hooks populate = { .failed = thread_failed, .ctx = m };

	objects_init(&m->objects, &mm, &m->budget, m->opts->place);
	populate_init(&m->populate, &m->objects, &populate);
	m->faults = (struct faults){
		.objects = &m->objects, .urgent = &m->receive.urgent_conn, .hooks = faults,
	};
}

static void wire_states(struct migration *m)
{
	m->setup = (struct setup){
		.peer = &m->peer, .objects = &m->objects, .budget = &m->budget,
		.place = m->opts->place, .criu = &m->opts->criu,
		.images_base = m->opts->images_base,
		.terms = &m->opts->take_addresses,
		.config = &m->opts->config,
		.rule = &m->opts->rule,
	};
	m->receive = (struct receive){
		.peer = &m->peer, .objects = &m->objects, .budget = &m->budget,
		.images = &m->images, .place = m->opts->place,
		.hooks = {
			.objects = take_objects, .maps = take_maps, .needs = take_needs,
			.go = take_go, .ctx = m,
		},
	};
	receive_init(&m->receive);
	m->restore = (struct restore){
		.peer = &m->peer, .objects = &m->objects, .images = &m->images,
		.program = &m->program, .keeper = m->keeper, .populate = &m->populate,
		.place = m->opts->place, .verify = { .budget = &m->budget },
		.shm = { .objects = &m->objects, .keeper = m->keeper },
		.config = &m->setup.granted, .mounts = &m->setup.mounts,
		.namespaces = &m->setup.namespaces, .rule = &m->opts->rule,
		.cancel = -1, .rpc_fd = -1,
	};
	m->commit = (struct commit){
		.peer = &m->peer, .objects = &m->objects, .program = &m->program,
		.keeper = m->keeper, .populate = &m->populate, .budget = &m->budget,
		.shm = &m->restore.shm, .ledger = &m->ledger,
		.dir = &m->images.dir, .places = m->opts->places, .parent_sock = m->parent_sock,
		.link_lost = link_lost, .stop = stop_threads, .ctx = m,
	};
}

static int leave_service(const char *id, struct error *err)
{
	char name[NAME_MAX];

	snprintf(name, sizeof(name), "migrate-%s", id);
	return service_leave(name, "program that moved here", err) < 0 ? -1 : 0;
}

static int begin_ledger(struct migration *m, struct error *err)
{
	struct ledger_entry entry = { .side = LEDGER_DEST, .state = LEDGER_PREPARED };

	snprintf(entry.id, sizeof(entry.id), "%s", m->images.id);
	snprintf(entry.peer, sizeof(entry.peer), "%s", m->opts->peer ?: "");
	return ledger_begin(&m->ledger, m->opts->ledger, &entry, err);
}

/* Before there is any thread: block signals, make what the keeper removes, start the keeper. */
static int begin(struct migration *m, const uint8_t *id, struct error *err)
{
	const struct peer_hooks hooks = {
		.cancel = cancel_restore, .failed = give_up_pages, .ctx = m,
	};

	peer_init(&m->peer, &hooks);
	budget_init(&m->budget, m->opts->places, m->opts->place);
	if (watchdog_init(&m->watchdog, err) ||
	    images_make(&m->images, m->opts->images_base, id, err))
		return -1;
	m->images.budget = &m->budget;
	tell_migration(m->images.id);
	/* before program_init(): the group that this process is in then is where the program will be */
	if (!leave_service(m->images.id, err) && !begin_ledger(m, err)) {
		program_init(&m->program, m->images.id);
		m->keeper = keeper_start(&m->images.dir, &m->program.group, &m->ledger, err);
	}
	if (m->keeper)
		return 0;
	owned_dir_remove(&m->images.dir);
	return -1;
}

static int start_control(struct migration *m, const struct conn *from, struct error *err)
{
	struct conn control = *from;

	m->watchdog.peer = &m->peer;
	m->watchdog.keeper = m->keeper;
	m->watchdog.program = &m->program;
	m->watchdog.place = m->opts->place;
	if (faults_init(&m->faults, err) || watchdog_start(&m->watchdog, err) ||
	    peer_open(&m->peer, &control, err) ||
	    keeper_speak(m->keeper, from->fd, err))
		return -1;
	return peer_start(&m->peer, err);
}

static int take_connections(struct migration *m, struct error *err)
{
	unsigned int streams;
	const char *lacks;

	if (setup_greet(&m->setup, &streams, err))
		return -1;
	receive_expect(&m->receive, streams);
	while ((lacks = receive_lacks(&m->receive))) {
		struct conn conn;
		int got;

		if (mailbox_failed(&m->peer.box, err))
			return -1;
		got = parent_next_conn(m->parent_sock, POLL_MS, &conn, err);
		if (got < 0 || (got && receive_connect(&m->receive, &conn, err)) ||
		    setup_late(&m->setup, lacks, err))
			return -1;
	}
	return 0;
}

/* Before anything of the program is here: what comes for it meanwhile would be answered with a reset. */
static int close_addresses(struct migration *m, struct error *err)
{
	m->restore.own_network = m->setup.said->own_network;
	m->restore.keeps_tcp = m->setup.said->keeps_tcp || m->restore.own_network;
	if (!m->setup.said->keeps_tcp)
		return 0;
	return kept_addresses_plan(&m->setup.kept, m->images.id, err) ||
	       keeper_close_addresses(m->keeper, &m->setup.kept, err) ? -1 : 0;
}

static int start_threads(struct migration *m, struct error *err)
{
	m->program.root = m->setup.said->pid;
	m->program.own_cgroup_ns = m->setup.said->own_cgroup_ns;
	m->restore.compare = m->restore.shm.compares = m->setup.said->verify;
	m->restore.comm = m->setup.said->comm;
	m->restore.cost_model_ns = m->setup.cost_model_ns;
	receive_allow(&m->receive, m->setup.codecs);
	if (budget_take(&m->budget, BUDGET_BOOKS, receive_cost(&m->receive), err))
		return -1;
	m->commit.max_frozen_s = m->receive.max_frozen_s = setup_max_frozen_s(&m->setup);
	if (lazy_server_listen(m->images.work_fd, &m->lazy, err) ||
	    faults_expect(&m->faults, m->lazy, err) || faults_start(&m->faults, err))
		return -1;
	return receive_start(&m->receive, err);
}

/* Return: enum exit_code, or -1 before COMMIT; then @undo is true */
static int run_states(struct migration *m, const struct conn *control, bool *undo, struct error *err)
{
	int code;

	peer_state(&m->peer, "ACCEPT");
	if (start_control(m, control, err) || take_connections(m, err) || setup_take(&m->setup, err) ||
	    close_addresses(m, err) || start_threads(m, err) ||
	    restore_park(&m->restore, err) || receive_run(&m->receive, err) ||
	    receive_wait_final(&m->receive, err) || restore_run(&m->restore, err))
		return -1;
	m->commit.restore_ns = m->restore.took_ns;
	m->commit.verified_pages = m->restore.verified_pages;
	code = commit_run(&m->commit, undo, err);
	if (code == CODE_OK)
		restore_keep_cost(&m->restore);
	return code;
}

/*
 * The tasks were not started: remove everything. When that is done, tell the source: the program
 * can go on there, although COMMIT may be recorded.
 */
static int undo(struct migration *m, struct error *err)
{
	struct error first = { 0 }, why = { 0 };
	bool gone = true, alone;

	/* the error of the state machine may be a consequence of this earlier one */
	if (mailbox_failed(&m->peer.box, &first))
		*err = first;
	alone = keeper_abort(m->keeper, &why);
	/* which the keeper removes */
	tell_log(m->images.work_fd, "restore.log");
	if (alone)
		gone = keeper_undo(m->keeper, m->program.init_fd);
	if (!gone)
		tell("warning", NULL, "the restored tasks are still there: %s", why.what);
	if (m->peer.ctl)
		control_send_abort(m->peer.ctl, err, gone);
	if (gone)
		ledger_set(&m->ledger, LEDGER_ABORTED, &(struct error){ 0 });
	/* tell the source before the rest of the clean-up */
	if (!alone && keeper_said(m->keeper, &why))
		keeper_undo(m->keeper, m->program.init_fd);
	stop_threads(m);
	if (gone)
		objects_remove_files(&m->objects);
	tell_result(err, NULL);
	return err->code;
}

int migration_refuse(const struct conn *control, const struct error *why)
{
	struct error ignored = { 0 };
	struct conn conn = *control;
	struct control *ctl = control_new(&conn, COURSE_DEST, &ignored);

	if (ctl)
		control_send_abort(ctl, why, true);
	tell_result(why, NULL);
	return why->code;
}

int migration_run(const struct conn *control, int parent_sock, const uint8_t *id,
		  const struct serve_options *opts)
{
	struct migration *m = calloc(1, sizeof(*m));
	struct error err = { 0 };
	bool undone = true;
	int code;

	if (!m)
		return CODE_INTERNAL;
	m->opts = opts;
	m->parent_sock = parent_sock;
	fds_make_room();
	if (begin(m, id, &err))
		return migration_refuse(control, &err);
	wire_pages(m);
	wire_states(m);
	setup_begin(&m->setup);
	code = run_states(m, control, &undone, &err);
	if (undone)
		code = undo(m, &err);
	/* the process ends: take down only what other processes can see */
	if (m->peer.ctl)
		control_shutdown(m->peer.ctl);
	return code;
}
