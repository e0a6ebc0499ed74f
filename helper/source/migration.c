// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "os/fds.h"
#include "source/attributes.h"
#include "source/connect.h"
#include "source/digest.h"
#include "source/final.h"
#include "source/ghosts.h"
#include "source/handover.h"
#include "source/images.h"
#include "source/migration.h"
#include "source/precopy.h"
#include "source/repair.h"
#include "source/setup.h"
#include "source/tmpfs_write.h"

#define DROP_MS	100	/* after RestoreGo */
#define TRIES	6	/* of a program that has files for a moment only */

/* The filter would end the migration's own connections. */
static int check_own_address(const struct source_migration *migration, struct error *err)
{
	if (!net_addresses_have_local(&migration->connections.addresses,
				      conn_link_fd(&migration->links.memory[0])))
		return 0;
	return error_set(err, CODE_REFUSED, "give --to an address that is reached from another one here",
			 "the migration goes out from an address that moves with the program");
}

static int connect_threads(struct source_migration *migration, struct error *err)
{
	const struct connect_way way = {
		.where = migration->opts->to, .listens = migration->opts->listens, .given = &migration->opts->given,
	};
	struct link_set *links = &migration->links;

	if (connect_all(links, &way, migration->id, &migration->keys, err) ||
	    sender_init(&migration->memory, &links->memory[0], true, err) ||
	    streams_init(&migration->streams, links->memory, links->streams, &migration->memory, err) ||
	    sender_init(&migration->urgent, &links->urgent, false, err))
		return -1;
	migration->memory.pace = &migration->pace;
	migration->memory.compress = migration->streams.nr ? NULL : &migration->compress;
	migration->figures.tls = links->tls;
	/* nothing is asked for before the program stands */
	migration->urgent.frozen = true;
	migration->threads = (struct threads){
		.box = &migration->box, .failure = &migration->failure.first, .links = links,
		.requests = {
			.tree = &migration->tree, .sender = &migration->urgent,
			.box = &migration->box,
		},
	};
	source_failure_connected(&migration->failure, links);
	return threads_start(&migration->threads, err);
}

/* Deleted files are in CRIU's images. */
static int count_ghosts(const struct source_migration *migration, uint64_t *bytes, struct error *err)
{
	struct ghosts ghosts = {
		.shm_dev = migration->shms.dev, .config = &migration->config,
		.sparse = criu_is_4_1(&migration->criu),
	};
	int ret = ghosts_find(&ghosts, &migration->tree, err) ||
		  ghosts_check(&ghosts, migration->dir.images_fd, err) ? -1 : 0;

	*bytes = ghosts.bytes;
	ghosts_free(&ghosts);
	return ret;
}

static int agree_on_compression(struct source_migration *migration, uint32_t codecs, struct error *err)
{
	if (migration->streams.nr)
		return streams_agree(&migration->streams, &migration->compress, codecs, err);
	return compress_agree(&migration->compress, codecs, &migration->links.memory[0], err);
}

/* How long the program will stand: said, and refused where it is too long, before anything is sent. */
static int look_and_ask(struct source_migration *migration, struct error *err)
{
	const struct backend *backend = tree_root(&migration->tree)->mm.backend;
	struct outlook *outlook = &migration->outlook;
	uint32_t codecs = compress_offer(migration->compress.ask);
	struct setup setup = {
		.opts = migration->opts,
		.tree = &migration->tree, .shms = &migration->shms, .criu = &migration->criu,
		.mode = migration->choice.mode, .verify = migration->choice.verify,
		.max_frozen_s = migration->opts->max_frozen_s,
		.kept = migration->opts->keeps_tcp ? &migration->connections.addresses : NULL,
		.config = &migration->config,
		.ctl = migration->links.ctl, .box = &migration->box, .stale = &migration->stale,
		.codecs = &codecs,
	};
	uint64_t objects;

	if (shms_find(&migration->shms, &migration->tree, err) || shms_look(&migration->shms, err) ||
	    count_ghosts(migration, &setup.ghost_bytes, err))
		return -1;
	setup.tmpfs_bytes = source_mounts_tmpfs_bytes(&migration->mounts, &migration->config,
						      tree_root(&migration->tree)->pid);
	setup.tmpfs_pages = shms_tmpfs_pages(&migration->shms);
	objects = setup.tmpfs_pages * PAGE_BYTES;
	setup.tmpfs_bytes -= setup.tmpfs_bytes < objects ? setup.tmpfs_bytes : objects;
	outlook->compares = migration->choice.verify;
	outlook->shape.image_pages = (setup.ghost_bytes + setup.tmpfs_bytes) / PAGE_BYTES;
	if (outlook_make(outlook, &migration->tree, &migration->shms, &migration->criu,
			 !backend->criu_tracks, err))
		return -1;
	setup.shape = &outlook->shape;
	return setup_run(&setup, &outlook->there_ns, err) ||
	       agree_on_compression(migration, codecs, err) ||
	       outlook_check(outlook, migration->opts, err) ? -1 : 0;
}

/* All looks are at the descriptors of one moment; what changes after it is found when the program stands. */
static int setup(struct source_migration *migration, struct error *err)
{
	int ret;

	if (check_own_address(migration, err))
		return -1;
	tree_read_files(&migration->tree, true);
	ret = look_and_ask(migration, err);
	tree_forget_files(&migration->tree);
	return ret;
}

/* @round: the last one that was announced */
static int precopy(struct source_migration *migration, uint32_t *round, struct error *err)
{
	struct precopy precopy = {
		.tree = &migration->tree, .shms = &migration->shms,
		.sender = &migration->memory,
		.ctl = migration->links.ctl, .box = &migration->box,
		.figures = &migration->figures, .mode = migration->choice.mode,
		.hold = hold_for_backend(&migration->hold),
		.join = join_later, .ctx = &migration->join, .on_stall = migration->opts->on_stall,
		.throttle = &migration->throttle, .sync = &migration->sync,
		.rule = {
			.max_rounds = migration->opts->max_rounds,
			.max_downtime_ns = migration->opts->max_downtime_ms * 1000000UL,
			.fixed_ns = outlook_ns(&migration->outlook), .steps = STOP_STEPS,
			/* compared is all of it before the program goes on */
			.rest_later = migration->choice.mode == MODE_AUTO && !migration->choice.verify,
		},
	};
	int ret;

	throttle_begin(&migration->throttle);
	ret = precopy_run(&precopy, err);

	*round = precopy.rounds;
	migration->choice.mode = precopy.mode;
	return ret;
}

static int freeze(struct source_migration *migration, struct error *err)
{
	struct freeze *freeze = &migration->freeze;

	*freeze = (struct freeze){
		.tree = &migration->tree, .shms = &migration->shms, .join = join_later, .ctx = &migration->join,
		.sender = &migration->memory, .dir = &migration->dir,
		.keeper = migration->keeper,
		.connections = &migration->connections,
		.guard = &migration->guard, .terms = &migration->terms,
		.asker = {
			.opts = migration->opts, .tree = &migration->tree,
			.ctl = migration->links.ctl, .box = &migration->box,
		},
		.failure = &migration->failure, .watch = &migration->watch,
		.throttle = &migration->throttle, .figures = &migration->figures, .max_frozen_s = migration->opts->max_frozen_s,
		.criu_log_level = migration->opts->criu_log_level, .config = &migration->config,
	};
	control_set_lost(migration->links.ctl, migration->opts->link_timeout_ms);
	return freeze_tree(freeze, err);
}

/* The last of the files travels beside the last of the memory, and is there before the program is restored. */
static int final(struct source_migration *migration, uint32_t round, struct error *err)
{
	struct syncfs *sync = &migration->sync;
	const struct final final = {
		.tree = &migration->tree, .shms = &migration->shms,
		.sender = &migration->memory,
		.ctl = migration->links.ctl, .box = &migration->box,
		.figures = &migration->figures, .criu = &migration->criu,
		.mode = migration->choice.mode, .round = round,
		.images_fd = migration->dir.images_fd,
	};

	sync->frozen = true;
	if (syncfs_ask(sync, err) || final_send(&final, err))
		return -1;
	frozen_time_enter(&migration->figures.frozen, MIGRATE__FROZEN_PART__SYNC_FILES);
	return syncfs_wait(sync, err);
}

static int send_images(struct source_migration *migration, struct error *err)
{
	struct images images = {
		.dir_fd = migration->dir.images_fd, .tree = &migration->tree,
		.shms = &migration->shms,
		.group = &migration->guard.group, .ctl = migration->links.ctl,
		.figures = &migration->figures, .box = &migration->box,
	};

	frozen_time_enter(&images.figures->frozen, MIGRATE__FROZEN_PART__REPAIR);
	return source_tmpfs_write(&migration->mounts, &migration->shms, images.dir_fd, &images.tmpfs_bytes, err) ||
	       repair_images(&migration->tree, images.dir_fd, &migration->losses, err) ||
	       images_omit(&images, err) || images_send(&images, err) ? -1 : 0;
}

static int wait_final_ack(struct source_migration *migration, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(&migration->box, MIGRATE__CONTROL__BODY_FINAL_ACK,
					       -1, err);

	if (!msg)
		return -1;
	migration->figures.left_pages = msg->final_ack->want_pages;
	migrate__control__free_unpacked(msg, NULL);
	/* each may get all of it */
	for (unsigned int i = 0; i < migration->links.streams; i++)
		if (frame_check_key(&migration->links.memory[i], migration->figures.left_pages, err))
			return -1;
	return 0;
}

static int send_all(struct source_migration *migration, struct error *err)
{
	report_progress("comparing the memory of both sides");
	return push_run(&migration->push, err) ||
	       digest_send(&migration->tree, &migration->shms, migration->links.ctl, &migration->box,
			   err) ? -1 : 0;
}

/* With --verify the destination first asks for all there is. */
static int wait_ready(struct source_migration *migration, struct error *err)
{
	struct frozen_time *time = &migration->figures.frozen;
	bool ready = false;
	int ret = 0;

	/* on one machine the destination needs the CPUs until its CRIU restores; few images can wait for the end */
	if (!mailbox_wait_message(&migration->box, false, DROP_MS))
		images_drop(migration->dir.images_fd);
	while (!ready && !ret) {
		Migrate__Control *msg = mailbox_next(&migration->box, -1, err);

		if (!msg)
			return -1;
		if (msg->body_case == MIGRATE__CONTROL__BODY_READY) {
			migration->figures.restore_ns = msg->ready->restore_ns;
			migration->figures.verified_pages = msg->ready->verified_pages;
			frozen_time_enter(time, MIGRATE__FROZEN_PART__COMMIT_HERE);
			frozen_time_take(time, msg->ready->frozen, msg->ready->n_frozen);
			ready = true;
		} else if (msg->body_case == MIGRATE__CONTROL__BODY_FETCH_ALL &&
			   migration->choice.verify) {
			ret = send_all(migration, err);
		} else if (msg->body_case == MIGRATE__CONTROL__BODY_ATTRIBUTES) {
			source_attributes_take_answer(msg->attributes, &migration->losses);
			ret = losses_refused(&migration->losses, err);
		} else {
			ret = error_set(err, CODE_PEER, NULL,
					"the destination sent message %d instead of Ready",
					msg->body_case);
		}
		migrate__control__free_unpacked(msg, NULL);
	}
	return ret;
}

/* Say that a state is entered; -1 when the migration has failed. */
static int enter(struct source_migration *migration, const char *state, struct error *err)
{
	mailbox_wait_failure(&migration->box, report_state_begin(state));
	return mailbox_failed(&migration->box, err);
}

/*
 * COMMIT is recorded and not sent: nothing runs there yet, so the record can go. A process that died
 * since the last look is missing at neither end then. One that dies later is the push's to find. And without
 * a link COMMIT would not come there: the program would stand until a person has looked at both ends.
 */
static int look_once_more(struct source_migration *migration, struct error *err)
{
	struct error why = { 0 };

	if (!tree_check_memory(&migration->tree, err) && !mailbox_failed(&migration->box, err))
		return 0;
	if (!source_keeper_uncommit(migration->keeper, &why)) {
		mailbox_uncommit(&migration->box);
		return -1;
	}
	memset(err, 0, sizeof(*err));
	return 0;
}

/* Return: -1 when there was a failure, which counts, or no record */
static int commit(struct source_migration *migration, struct error *err)
{
	bool recorded;
	int left_ms;

	/* a process that died is missing at neither end: without it nothing is handed over */
	if (tree_check_alive(&migration->tree, err))
		return -1;
	/* after COMMIT an early "link lost" has no use: give the link more time to come back */
	control_set_lost(migration->links.ctl, 0);
	left_ms = watch_left_ms(&migration->watch);
	if (mailbox_commit(&migration->box, CODE_OK, err))
		return -1;
	watch_limit(&migration->watch, 0);
	if (!source_keeper_commit(migration->keeper, left_ms, &recorded, err) || recorded) {
		memset(err, 0, sizeof(*err));
		return look_once_more(migration, err);
	}
	mailbox_uncommit(&migration->box);
	return -1;
}

/* Up to the record: whatever fails is undone. */
static int until_commit(struct source_migration *migration, struct error *err)
{
	uint32_t round = 0;

	return source_migration_prepare(migration, err) ||
	       syncfs_ask(&migration->sync, err) || syncfs_wait(&migration->sync, err) ||
	       enter(migration, "CONNECT", err) ||
	       connect_threads(migration, err) || enter(migration, "SETUP", err) ||
	       setup(migration, err) || enter(migration, "PRECOPY", err) ||
	       precopy(migration, &round, err) || freeze(migration, err) ||
	       enter(migration, "FREEZE", err) || final(migration, round, err) ||
	       enter(migration, "IMAGES", err) || send_images(migration, err) ||
	       wait_final_ack(migration, err) || wait_ready(migration, err) ||
	       enter(migration, "COMMIT", err) || commit(migration, err) ? -1 : 0;
}

static int run(struct source_migration *migration, struct error *err)
{
	struct figures *figures = &migration->figures;
	struct handover handover;
	bool died = false;
	int code;

	if (until_commit(migration, err))
		return source_migration_undo(migration, err);
	memset(err, 0, sizeof(*err));
	figures->processes = migration->tree.nr;
	handover = (struct handover){
		.ctl = migration->links.ctl, .box = &migration->box,
		.failure = &migration->failure.first, .push = &migration->push, .figures = figures,
		.frozen_at_ns = migration->freeze.at_ns,
	};
	if (handover_run(&handover, &died, err)) {
		if (control_is_unstarted(migration->links.ctl))
			return source_migration_take_back(migration, err);
		return source_migration_doubt(migration, died, err);
	}
	code = source_migration_finish(migration, err);
	threads_stop(&migration->threads);
	figures->sent_pages = migration->memory.pages + migration->urgent.pages;
	if (!code)
		enter(migration, "DONE", &(struct error){ 0 });
	if (!code)
		lost_error(&figures->lost, false, err);
	figures->moved = true;
	figures->total_ns = clock_now_ns() - figures->started_ns;
	outlook_keep(&migration->outlook, tree_root(&migration->tree)->status.comm, &figures->frozen);
	return err->code;
}

static void source_migration_init(struct source_migration *migration,
				  const struct migrate_options *opts)
{
	migration->opts = opts;
	migration->choice.mode = opts->mode;
	migration->dir.images_fd = migration->dir.work_fd = migration->dir.parent_fd = -1;
	migration->guard.pidfd = migration->guard.lock_fd = -1;
	migration->figures.started_ns = clock_now_ns();
	migration->figures.losses = &migration->losses;
	migration->figures.sync = &migration->sync;
	migration->figures.compress = &migration->compress;
	migration->losses.accepted = opts->accepted_losses;
	migration->terms = (struct inspection){
		.opts = opts, .criu = &migration->criu, .config = &migration->config,
		.losses = &migration->losses, .tree = &migration->tree,
	};
	migration->hold = (struct hold){ .keeper = &migration->keeper, .guard = &migration->guard };
	migration->join = (struct join){
		.guard = &migration->guard, .hold = &migration->hold, .terms = &migration->terms,
	};
	migration->pace = (struct pace){ .bytes_per_s = opts->bandwidth, .box = &migration->box };
	migration->compress = (struct compress){ .ask = opts->compress, .limit = opts->bandwidth };
	migration->throttle.keeper = &migration->keeper;
	migration->push = (struct push){
		.tree = &migration->tree, .sender = &migration->memory, .box = &migration->box,
	};
	link_set_init(&migration->links, opts->given.nr_mem ? opts->given.nr_mem - 1 : opts->streams ?: 1);
	mailbox_init(&migration->box, "the destination");
	msgfd_init(&migration->sync.msgfd, opts->given.msg);
	migration->sync.box = &migration->box;
	migration->sync.driver = (struct fs_driver){ .command = opts->fs_driver, .fd = opts->given.fs };
	migration->sync.shared = opts->nr_shared_storage;
	migration->outcome.msgfd = &migration->sync.msgfd;
	source_failure_init(&migration->failure, &migration->box);
}

static void source_migration_destroy(struct source_migration *migration)
{
	watch_destroy(&migration->watch);
	threads_stop(&migration->threads);
	fs_driver_kill(&migration->sync.driver);
	link_set_close(&migration->links);
	streams_destroy(&migration->streams);
	sender_destroy(&migration->memory);
	sender_destroy(&migration->urgent);
	compress_destroy(&migration->compress);
	shms_destroy(&migration->shms);
	tree_destroy(&migration->tree);
	workdir_close(&migration->dir);
	ledger_close(&migration->ledger);
	guard_close(&migration->guard);
	figures_free(&migration->figures);
	outcome_free(&migration->outcome);
	losses_free(&migration->losses);
	mailbox_destroy(&migration->box);
}

static void count_streams(struct source_migration *migration)
{
	struct figures *figures = &migration->figures;

	/* nothing was connected */
	if (!migration->memory.buf)
		return;
	streams_compressed(&migration->streams, &migration->compress);
	figures->nr_streams = sender_width(&migration->memory);
	for (unsigned int i = 0; i < figures->nr_streams; i++)
		figures->stream_bytes[i] = sender_at(&migration->memory, i * STREAMS_STRIPE)->bytes;
}

/* Return: the exit status; *@again: nothing has happened, and another try may succeed */
static int run_once(const struct migrate_options *opts, bool *again)
{
	struct source_migration *migration = calloc(1, sizeof(*migration));
	const struct source_process *root;
	struct error err = { 0 };
	int code;

	if (!migration)
		return CODE_INTERNAL;
	source_migration_init(migration, opts);
	code = run(migration, &err);
	/* a signal, say, ends it all the same */
	*again &= migration->stale && code == CODE_PEER && !given_has_link(&opts->given) && !opts->listens;
	if (*again) {
		report_say("%s; the program has closed a file since then: the migration begins anew", err.what);
	} else {
		if (error_is_set(&err))
			report_error(&err);
		root = migration->tree.nr ? tree_root(&migration->tree) : NULL;
		count_streams(migration);
		figures_say_result(&migration->figures, &err, opts->pid,
				   root ? root->status.comm : "",
				   migrate_mode_name(migration->choice.mode), opts->result);
		outcome_say(&migration->outcome, &err);
	}
	source_migration_destroy(migration);
	free(migration);
	return code;
}

int source_migration_run(const struct migrate_options *opts)
{
	int code = CODE_INTERNAL;
	bool again;

	fds_allow_many();
	fds_make_room();
	for (int left = TRIES; left; left--) {
		again = left > 1;
		code = run_once(opts, &again);
		if (!again)
			break;
	}
	return code;
}
