// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "os/cgroup_ns.h"
#include "source/guard_lock.h"
#include "source/kept_sockets.h"
#include "source/migration.h"
#include "source/network.h"
#include "source/tmpfs.h"

/* Rather now than when all is done. */
static int check_result_file(const char *path, struct error *err)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;

	if (path && fd < 0)
		return error_errno(err, CODE_USAGE,
				   "give --result a file in a directory that exists",
				   "cannot write the result to %s", path);
	if (path)
		close(fd);
	return 0;
}

static bool on_failure(void *ctx, const struct error *err, bool undoes)
{
	struct source_migration *migration = ctx;

	return failure_raise_unless_committed(&migration->failure.first, err, undoes);
}

static void on_too_long(void *ctx)
{
	struct source_migration *migration = ctx;

	control_shutdown(migration->links.ctl);
}

static void on_signal(void *ctx, const char *name)
{
	struct source_migration *migration = ctx;
	struct error err = { 0 };

	error_set(&err, CODE_ABORTED, NULL, "ended by a signal (%s)", name);
	if (!source_failure_is_connected(&migration->failure)) {
		/* nothing was done to the program, and the keeper cleans up */
		report_error(&err);
		outcome_say(&migration->outcome, &err);
		fs_driver_stop(&migration->sync.driver);
		_exit(err.code);
	}
	if (failure_raise_unless_committed(&migration->failure.first, &err, true))
		return;
	if (control_phase(migration->links.ctl) < PHASE_STARTED)
		report_say("%s: the program was handed over; it is not known yet whether it runs there",
			   name);
	else
		report_say("%s: the program has moved already; its memory is still being sent", name);
}

static int start_keeper(struct source_migration *migration, struct error *err)
{
	struct record *record = calloc(1, sizeof(*record));

	if (!record)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start the keeper");
	record->start_ticks = tree_root(&migration->tree)->status.start_ticks;
	record->guard = migration->guard;
	record->connections = migration->connections;
	record->cpu = migration->throttle.cpu;
	record->ledger = migration->ledger;
	snprintf(record->to, sizeof(record->to), "%s", migration->opts->to);
	migration->keeper = source_keeper_start(record, migration->dir.path, err);
	free(record);
	return migration->keeper ? 0 : -1;
}

static int begin_ledger(struct source_migration *migration, const struct source_process *root, struct error *err)
{
	struct ledger_entry entry = {
		.side = LEDGER_SOURCE, .state = LEDGER_PREPARED, .pid = migration->opts->pid,
		.start_ticks = root->status.start_ticks,
	};

	snprintf(entry.id, sizeof(entry.id), "%s", migration->id_text);
	snprintf(entry.program, sizeof(entry.program), "%s", root->status.comm);
	snprintf(entry.peer, sizeof(entry.peer), "%s", migration->opts->to);
	return ledger_begin(&migration->ledger, migration->opts->ledger, &entry, err);
}

/* Whatever ends the program, the keeper or CRIU, or a signal, is a failure from here on. */
static int start_watch(struct source_migration *migration, struct error *err)
{
	static const struct watch_hooks hooks = {
		.fail = on_failure, .too_long = on_too_long, .signal = on_signal,
	};
	struct watch *watch = &migration->watch;
	const struct source_mm *root = &tree_root(&migration->tree)->mm;
	const struct watch_target target = {
		.pid = root->pid, .fd = root->backend->gone_fd,
		.events = root->backend->gone_events,
	};

	/* that another process of the tree ends is no failure */
	if (watch_add_target(watch, &target, err))
		return -1;
	watch->hooks = &hooks;
	watch->ctx = migration;
	watch->max_frozen_s = migration->opts->max_frozen_s;
	watch->log = migration->log;
	watch->keeper_fd = source_keeper_fd(migration->keeper);
	return watch_start(watch, err);
}

/* Where that cannot be read, refuse_cgroup_ns() says so. */
static void find_cgroup_top(struct tree *tree)
{
	if (has_own_cgroup_ns(tree) &&
	    cgroup_ns_top(tree_root(tree)->pid, tree->cgroup_top, sizeof(tree->cgroup_top)))
		tree->cgroup_top[0] = 0;
}

static int find_given_keys(struct source_migration *migration, struct error *err)
{
	const struct migrate_options *opts = migration->opts;

	if (given_find_keys(&opts->given, &migration->keys, &opts->tls, err))
		return -1;
	/* whose key it is a client is not told */
	if (opts->tls.allow && migration->keys.proof == TLS_PSK)
		return error_set(err, CODE_USAGE, "everyone who has a key of --tls-psk may take the program",
				 "--allow goes with certificates, where --fdrpc leads to the destination");
	return 0;
}

static int find_keys(struct source_migration *migration, struct error *err)
{
	const struct migrate_options *opts = migration->opts;

	if (given_has_link(&opts->given))
		return find_given_keys(migration, err);
	if (opts->given.insecure)
		return error_set(err, CODE_USAGE, "--insecure is the word for addresses",
				 "--insecure-fds goes with --fdrpc and --fdmem");
	if (opts->tls.allow && !opts->listens)
		return error_set(err, CODE_USAGE, "with --to the name or address says who may take the program",
				 "--allow goes with --listen, --fdrpc and --fdmem");
	return conn_check_where(opts->to, true, err) || tls_keys_find(&migration->keys, &opts->tls, opts->to, err) ? -1 : 0;
}

/* Who moves, and what keeps it: nothing is done to the program yet. */
static int plan(struct source_migration *migration, struct error *err)
{
	const struct migrate_options *opts = migration->opts;
	const struct source_process *root;

	if (given_check(&opts->given, err) || fs_driver_check(&migration->sync.driver, err) || find_keys(migration, err) ||
	    check_result_file(opts->result, err) ||
	    criu_config_read(&migration->config, opts->criu_config, CRIU_END_DUMP, err))
		return -1;
	if (opts->pid == getpid())
		return error_set(err, CODE_USAGE, "give --pid of the program",
				 "process %d is this migrate-helper itself", opts->pid);
	if (getrandom(migration->id, sizeof(migration->id), 0) != sizeof(migration->id))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot choose a migration id");
	for (size_t i = 0; i < sizeof(migration->id); i++)
		sprintf(migration->id_text + 2 * i, "%02x", migration->id[i]);
	root = tree_add(&migration->tree, opts->pid, err);
	migration->tree.mounts = &migration->mounts;
	migration->tree.own_network = root && source_network_is_own(opts->pid);
	if (root)
		find_cgroup_top(&migration->tree);
	if (!root || guard_plan(&migration->guard, opts->pid, root->status.state == 'T',
				migration->id_text, err) ||
	    guard_lock(&migration->guard, err) ||
	    (opts->on_stall == STALL_THROTTLE && throttle_plan(&migration->throttle, opts->pid, err)) ||
	    workdir_plan(&migration->dir, opts->images_base, migration->id_text, err))
		return -1;
	if (opts->keeps_tcp)
		connections_plan(&migration->connections, migration->id_text);
	migration->connections.inside = migration->tree.own_network;
	snprintf(migration->log, sizeof(migration->log), "%s/work/dump.log", migration->dir.path);
	/* before there is a thread, or a connection that it would keep open */
	return begin_ledger(migration, root, err) || start_keeper(migration, err) ? -1 : 0;
}

static int choose(struct source_migration *migration, struct error *err)
{
	struct figures *figures = &migration->figures;
	struct source_process *root = tree_root(&migration->tree), *process;
	const struct backend *backend;

	if (choose_backend(&migration->choice, &migration->hold, migration->opts, &root->mm, err))
		return -1;
	backend = root->mm.backend;
	tree_for_each(&migration->tree, process)
		if (process != root &&
		    choose_like(&migration->hold, migration->opts, backend, &process->mm, err) &&
		    !tree_forgive(&migration->tree, process, err))
			return -1;
	figures->backend = backend->ops->name;
	/* a codec would read what goes by reference else, and take a CPU for it */
	if (!migration->opts->compress_said && !strcmp(backend->ops->name, "module"))
		migration->compress.ask = COMPRESS_SPARED;
	figures->tracker = mode_follows(migration->choice.mode, backend) ? backend->tracker : "none";
	figures->tracker_why = backend->tracker_why;
	memcpy(figures->backend_why, backend->why, sizeof(figures->backend_why));
	return backend->criu_tracks ? criu_check(err) : criu_check_restore(err);
}

/*
 * CRIU 3.17 does not find the mounts of descriptors that the program had before it got the namespace: nearly every
 * program has one on /dev/null.
 */
static int check_spaces(const struct source_migration *migration, struct error *err)
{
	if (criu_is_4_1(&migration->criu) || (!migration->mounts.own && !migration->tree.own_network))
		return 0;
	return error_set(err, CODE_REFUSED, "install CRIU 4.1 or later",
			 "a program with a %s namespace of its own is moved by CRIU 4.1 and later",
			 migration->mounts.own ? "mount" : "network");
}

/* Between 3.18 and 4.0 CRIU leaves a filter behind whose name nobody knows. */
static int find_connections(struct source_migration *migration, struct error *err)
{
	const struct criu_version *criu = &migration->criu;

	if (!migration->opts->keeps_tcp)
		return 0;
	if (migration->tree.own_network)
		return error_set(err, CODE_REFUSED, "leave --tcp keep out: connections inside of it go on in any case",
				 "--tcp keep is for programs in the network namespace of this machine");
	if (!criu_is_4_1(criu) && (criu->major != 3 || criu->minor != 17))
		return error_set(err, CODE_NOT_READY, "install CRIU 4.1 or later",
				 "--tcp keep works with CRIU 3.17, and with 4.1 and later");
	return kept_sockets_find(&migration->tree, &migration->connections.addresses, err);
}

/* Of the other processes: join_in_setup() */
static int check_home(const struct source_migration *migration, struct error *err)
{
	const struct guard *guard = &migration->guard;

	return guard->group.kind == CGROUP_NONE ? 0 : guard_check_home(guard, guard->pid, err);
}

int source_migration_prepare(struct source_migration *migration, struct error *err)
{
	return plan(migration, err) || check_home(migration, err) || shms_init(&migration->shms, migration->opts, err) || watch_init(&migration->watch, &migration->box, err) ||
	       criu_version_get(&migration->criu, err) ||
	       source_network_check(migration->opts->pid, &migration->config, err) ||
	       source_mounts_find(&migration->mounts, migration->opts->pid, &migration->config, err) ||
	       check_spaces(migration, err) ||
	       (migration->mounts.own &&
		source_tmpfs_find(&migration->mounts, &migration->config, migration->opts->pid, err)) ||
	       tree_follow(&migration->tree, join_in_setup, &migration->join, err) ||
	       refuse_program(&migration->terms, &migration->tree, err) ||
	       find_connections(migration, err) ||
	       choose(migration, err) || workdir_make(&migration->dir, err) ||
	       start_watch(migration, err) ? -1 : 0;
}
