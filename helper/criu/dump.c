// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "criu/criu.h"
#include "criu/log.h"
#include "criu/page_sink.h"
#include "criu/rpc.h"
#include "criu/sockopts.h"
#include "os/proc.h"
#include "os/proc_tree.h"

#define LET_GO_TIMEOUT_MS	60000	/* generous: to kill a CRIU at work may kill the program */
#define LOG_LOOK_MS		500

/**
 * struct criu_dump - a CRIU that dumps, or is held
 * @page_fd: this helper's end of a socket pair. CRIU takes the other end for its connection to a
 *	page server, and therefore listens on no port. The helper sends nothing, and closes its end
 *	only after CRIU has released the tasks: CRIU would take an earlier close for success, and
 *	kill them. With a @sink it is that one's connection before
 * @listener: argument of sockopts_answer(); -1 when CRIU has no filter
 * @what: the failed action, for messages
 * @begun: criu_dump_opts.before was called, and has succeeded
 * @started_ns: of criu_dump_start()
 * @late: CRIU did not come to that in time, and has not looked at the task
 */
struct criu_dump {
	struct rpc rpc;
	int page_fd;
	int listener;
	char what[64];
	bool begun, late;
	uint64_t started_ns;
	struct criu_log log;
	struct page_sink sink;
};

static void dump_tcp(enum criu_tcp tcp, CriuOpts *opts)
{
	opts->has_tcp_close = true;
	opts->tcp_close = tcp == CRIU_TCP_CLOSE;
	opts->has_tcp_established = true;
	opts->tcp_established = tcp != CRIU_TCP_CLOSE;
	opts->has_network_lock = tcp != CRIU_TCP_CLOSE;
	opts->network_lock = tcp == CRIU_TCP_KEEP ? CRIU_NETWORK_LOCK_SKIP :
						    CRIU_NETWORK_LOCK_METHOD__NFTABLES;
}

static bool has_sink(const struct criu_dump_opts *opts)
{
	return opts->shm && opts->shm->nr;
}

static int dump_request(struct criu_dump *dump, const struct criu_dump_opts *from,
			struct error *err)
{
	CriuOpts opts = CRIU_OPTS__INIT;
	CriuReq req = CRIU_REQ__INIT;
	char text[PATH_MAX + 64], config[PATH_MAX], **externals;
	size_t nr = from->nr_externals;
	int ret;

	/*
	 * A directory without plugins: with the plugin for CUDA, CRIU would thaw a frozen control
	 * group before it seizes the tasks. The program would run, and write, after the last scan.
	 */
	if (rpc_path(from->work_dir_fd, NULL, config, sizeof(config), err))
		return -1;
	snprintf(text, sizeof(text), "ps-socket %d\nlibdir \"%s\"\n%s", RPC_EXTRA_FD, config,
		 has_sink(from) ? "page-server\n" : "");
	if (rpc_config(from->work_dir_fd, "criu-dump.conf", text, from->config, CRIU_END_DUMP,
		       config, sizeof(config), err))
		return -1;
	externals = criu_config_externals(from->config, CRIU_END_DUMP, from->externals, &nr);
	if (!externals)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of externals");
	opts.images_dir_fd = from->images_dir_fd;
	opts.has_work_dir_fd = true;
	opts.work_dir_fd = from->work_dir_fd;
	opts.has_pid = true;
	opts.pid = from->pid;
	opts.has_log_level = true;
	opts.log_level = from->log_level;
	opts.log_file = dump->log.fifo;
	opts.config_file = config;
	opts.has_notify_scripts = true;
	opts.notify_scripts = true;
	opts.has_lazy_pages = true;
	opts.lazy_pages = true;
	opts.has_track_mem = true;
	opts.track_mem = from->parent != NULL;
	opts.parent_img = (char *)from->parent;
	opts.external = externals;
	opts.n_external = nr;
	opts.has_shell_job = true;
	opts.shell_job = from->leaves_session;
	dump_tcp(from->tcp, &opts);
	opts.has_tcp_skip_in_flight = true;
	opts.tcp_skip_in_flight = true;
	opts.has_file_locks = true;
	opts.file_locks = true;
	opts.has_ghost_limit = true;
	opts.ghost_limit = CRIU_GHOST_BYTES_MAX;
	opts.has_manage_cgroups_mode = true;
	opts.manage_cgroups_mode = CRIU_CG_MODE__IGNORE;
	if (from->frozen)
		opts.freeze_cgroup = (char *)from->frozen->dir;
	req.type = CRIU_REQ_TYPE__DUMP;
	req.opts = &opts;
	ret = rpc_send(dump->rpc.fd, &req, err);
	free(externals);
	return ret;
}

/* Wait for a message of CRIU until @until_ns. Return: there is one */
static bool dump_wait(struct criu_dump *dump, uint64_t until_ns)
{
	struct pollfd fds[2] = {
		{ .fd = dump->rpc.fd, .events = POLLIN },
		{ .fd = dump->listener, .events = POLLIN },
	};

	while (!fds[0].revents) {
		if (clock_now_ns() > until_ns)
			return false;
		fds[1].revents = 0;
		if (poll(fds, 2, LOG_LOOK_MS) <= 0) {
			criu_log_revive(&dump->log);
			continue;
		}
		if (fds[1].revents & POLLIN)
			sockopts_answer(dump->listener, dump->rpc.pid);
		else if (fds[1].revents)
			fds[1].fd = -1;
	}
	return true;
}

/* Where the task stands, the keeper looks at the clock. */
static uint64_t dump_until_ns(const struct criu_dump *dump, const struct criu_dump_opts *opts)
{
	return dump->begun || !opts->begin_ms ? UINT64_MAX :
	       dump->started_ns + opts->begin_ms * 1000000UL;
}

/* Return: 1: CRIU waits in status-ready; 0: call again; -1 with @err: the dump has failed */
static int dump_notified(struct criu_dump *dump, const struct criu_dump_opts *opts,
			 const char *script, struct error *err)
{
	if (!strcmp(script, "status-ready"))
		return dump->begun || !opts->before ? 1 :
		       error_set(err, CODE_CRIU, NULL, "%s: it never asked whether it may begin",
				 dump->what);
	if (!strcmp(script, "pre-dump") && !dump->begun && opts->before) {
		/* a CRIU that is not answered ends: it has not looked at the task yet */
		if (opts->before(opts->before_ctx, err))
			return -1;
		dump->begun = true;
	}
	return rpc_answer(dump->rpc.fd, true, err);
}

/* Return: as dump_notified() */
static int dump_step(struct criu_dump *dump, const struct criu_dump_opts *opts, struct error *err)
{
	CriuResp *resp = NULL;
	int ret;

	if (!dump_wait(dump, dump_until_ns(dump, opts))) {
		dump->late = true;
		return error_set(err, CODE_CRIU, "look into its log",
				 "%s: it did not begin within %u ms", dump->what, opts->begin_ms);
	}
	ret = rpc_recv(dump->rpc.fd, -1, &resp, err);
	if (ret < 0)
		return -1;
	if (!ret || resp->type != CRIU_REQ_TYPE__NOTIFY || !resp->notify) {
		criu_log_close(&dump->log, CRIU_LOG_TIMEOUT_MS);
		rpc_failed(resp, dump->what, dump->log.path, err);
		criu_resp__free_unpacked(resp, NULL);
		return -1;
	}
	ret = dump_notified(dump, opts, resp->notify->script ? resp->notify->script : "", err);
	criu_resp__free_unpacked(resp, NULL);
	return ret;
}

/* A user may have stopped CRIU, or killed the reader of its log: CRIU has to work now. */
static void dump_urge(struct criu_dump *dump)
{
	if (dump->rpc.pid)
		kill(dump->rpc.pid, SIGCONT);
	criu_log_revive(&dump->log);
}

/* CRIU asks no more; a process that is forked from now on must not inherit the listener. */
static void listener_close(struct criu_dump *dump)
{
	if (dump->listener >= 0)
		close(dump->listener);
	dump->listener = -1;
}

/* @err: what CRIU says; a sink that refuses its pages knows better */
static void dump_free(struct criu_dump *dump, struct error *err)
{
	struct error why = { 0 };

	listener_close(dump);
	dump_urge(dump);
	rpc_end(&dump->rpc, dump->late ? 0 : LET_GO_TIMEOUT_MS);
	criu_log_close(&dump->log, CRIU_LOG_TIMEOUT_MS);
	page_sink_end(&dump->sink, &why);
	if (why.code == CODE_REFUSED)
		*err = why;
	close(dump->page_fd);
	free(dump);
}

static int find_filter(void *ctx, pid_t tid)
{
	struct error ended = { 0 };
	struct proc_status status;
	bool *found = ctx;

	*found |= !proc_status_alone(tid, &status, &ended) && status.seccomp;
	return 0;
}

/* A thread of a process of the tree has a seccomp filter. */
static bool has_filter(pid_t root)
{
	struct error ended = { 0 };
	bool found = false;
	pid_t *pids;
	size_t nr;

	if (proc_tree(root, &pids, &nr, &ended))
		return true;
	for (size_t i = 0; i < nr && !found; i++)
		proc_threads(pids[i], find_filter, &found, &(struct error){ 0 });
	free(pids);
	return found;
}

/* A CRIU with a seccomp filter of its own cannot suspend the filters of a task. */
static bool must_listen(pid_t root)
{
	return sockopts_refused() && !has_filter(root);
}

static int dump_spawn(struct criu_dump *dump, const struct criu_dump_opts *opts,
		      struct error *err)
{
	const struct cgroup *group = opts->group;
	int pair[2], ret;

	dump->listener = -1;
	if (group && cgroup_make(group, &(struct error){ 0 }))
		group = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a socket pair");
	ret = rpc_spawn(&dump->rpc, pair[1], must_listen(opts->pid) ? &dump->listener : NULL,
			group, err);
	close(pair[1]);
	dump->page_fd = pair[0];
	if (ret)
		close(pair[0]);
	return ret;
}

/* Let @opts->watch end a wait for CRIU at @dump; NULL: it has ended. */
static void watch(const struct criu_dump_opts *opts, const struct criu_dump *dump)
{
	if (opts->watch)
		opts->watch(opts->ctx, dump ? dump->rpc.fd : -1);
}

int criu_dump_prepare(const struct criu_dump_opts *opts, struct criu_dump **out,
		      struct error *err)
{
	struct criu_dump *dump = calloc(1, sizeof(*dump));
	int ret;

	*out = NULL;
	if (!dump)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a dump");
	snprintf(dump->what, sizeof(dump->what), "CRIU cannot dump task %d", opts->pid);
	if (criu_log_open(&dump->log, opts->work_dir_fd, "dump.log", err) ||
	    dump_spawn(dump, opts, err)) {
		criu_log_close(&dump->log, CRIU_LOG_TIMEOUT_MS);
		free(dump);
		return -1;
	}
	watch(opts, dump);
	ret = rpc_warm(dump->rpc.fd, err);
	watch(opts, NULL);
	if (ret) {
		dump_free(dump, err);
		return -1;
	}
	*out = dump;
	return 0;
}

int criu_dump_start(const struct criu_dump_opts *opts, struct criu_dump **out,
		    struct error *err)
{
	struct criu_dump *dump = *out;
	int ret = 0;

	dump->started_ns = clock_now_ns();
	watch(opts, dump);
	if (has_sink(opts))
		ret = page_sink_start(&dump->sink, dump->page_fd, opts->images_dir_fd, opts->shm, err);
	if (!ret)
		ret = dump_request(dump, opts, err);
	while (!ret)
		ret = dump_step(dump, opts, err);
	watch(opts, NULL);
	listener_close(dump);
	if (ret > 0 && !page_sink_end(&dump->sink, err))
		return 0;
	*out = NULL;
	if (opts->undo)
		opts->undo(opts->before_ctx);
	dump_free(dump, err);
	return -1;
}

pid_t criu_dump_pid(const struct criu_dump *dump)
{
	return dump->rpc.pid;
}

int criu_dump_fd(const struct criu_dump *dump)
{
	return dump->rpc.fd;
}

bool criu_dump_is_held(const struct criu_dump *dump)
{
	struct pollfd pfd = { .fd = dump->rpc.fd };

	/* a dying CRIU closes its descriptors before the kernel releases its tracees */
	return !poll(&pfd, 1, 0);
}

/* Answer CRIU's notifications until its last message. Return: 0, or -1 with @err */
static int dump_drain(struct criu_dump *dump, struct error *err)
{
	CriuResp *resp;
	bool notify;
	int ret;

	for (;;) {
		resp = NULL;
		ret = rpc_recv(dump->rpc.fd, LET_GO_TIMEOUT_MS, &resp, err);
		if (ret <= 0)
			return ret;
		notify = resp->type == CRIU_REQ_TYPE__NOTIFY;
		criu_resp__free_unpacked(resp, NULL);
		if (!notify)
			return 0;
		/* when CRIU dies before it reads this, the next rpc_recv() returns 0 */
		rpc_answer(dump->rpc.fd, true, &(struct error){ 0 });
	}
}

int criu_dump_refuse(struct criu_dump *dump, struct error *err)
{
	int ret;

	dump_urge(dump);
	/* fails when CRIU has died, which has released the tasks already */
	rpc_answer(dump->rpc.fd, false, &(struct error){ 0 });
	ret = dump_drain(dump, err);
	dump_free(dump, &(struct error){ 0 });
	return ret;
}

void criu_dump_kill(struct criu_dump *dump)
{
	kill(dump->rpc.pid, SIGKILL);
	dump_free(dump, &(struct error){ 0 });
}
