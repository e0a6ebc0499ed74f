// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "criu/attach.h"
#include "criu/criu.h"
#include "criu/kept_log.h"
#include "criu/log.h"
#include "criu/rpc.h"

#define END_TIMEOUT_MS	10000
#define IMAGES_LINK	"criu-images"

/* CRIU's parser of configuration files splits at spaces, and treats quotes specially. */
static int check_path(const char *path, struct error *err)
{
	if (strpbrk(path, " \t\n\"'\\#"))
		return error_set(err, CODE_NOT_READY, "use another directory",
				 "CRIU cannot be given the path %s", path);
	return 0;
}

/* CRIU 3.17 takes a symbolic link only for the images directory: it expects /proc/PID/fd/NR. */
static int link_images(int work_dir_fd, const char *images, struct error *err)
{
	if (unlinkat(work_dir_fd, IMAGES_LINK, 0) && errno != ENOENT)
		return error_errno(err, CODE_CRIU, NULL, "cannot remove an old link");
	if (symlinkat(images, work_dir_fd, IMAGES_LINK))
		return error_errno(err, CODE_CRIU, NULL, "cannot make a link to the images");
	return 0;
}

/*
 * By RPC CRIU would open /proc/PID/fd/NR of the process that made the socket pair. That process may
 * have no pid in CRIU's namespace, so CRIU gets paths.
 */
static int restore_config(const struct criu_restore_opts *opts, char *config, size_t bytes,
			  struct error *err)
{
	char images[PATH_MAX], work[PATH_MAX], text[2 * PATH_MAX + 64];

	if (rpc_path(opts->images_dir_fd, NULL, images, sizeof(images), err) ||
	    rpc_path(opts->work_dir_fd, NULL, work, sizeof(work), err) ||
	    check_path(work, err) || link_images(opts->work_dir_fd, images, err))
		return -1;
	snprintf(text, sizeof(text), "images-dir %s/" IMAGES_LINK "\nwork-dir %s\n", work, work);
	return rpc_config(opts->work_dir_fd, "criu-restore.conf", text, opts->config,
			  CRIU_END_RESTORE, config, bytes, err);
}

static int restore_request(int rpc_fd, const struct criu_restore_opts *from, char *log_file,
			   struct error *err)
{
	CriuOpts opts = CRIU_OPTS__INIT;
	CriuReq req = CRIU_REQ__INIT;
	char config[PATH_MAX], **externals;
	size_t nr = from->nr_externals;
	int ret;

	if (restore_config(from, config, sizeof(config), err))
		return -1;
	externals = criu_config_externals(from->config, CRIU_END_RESTORE, from->externals, &nr);
	if (!externals)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of externals");
	opts.images_dir_fd = from->images_dir_fd;
	opts.config_file = config;
	opts.has_log_level = true;
	opts.log_level = from->log_level;
	opts.log_file = log_file;
	opts.has_notify_scripts = true;
	opts.notify_scripts = true;
	opts.has_lazy_pages = true;
	opts.lazy_pages = true;
	/* the destination connects the sockets anew that the dump left out */
	opts.has_ext_unix_sk = true;
	opts.ext_unix_sk = true;
	opts.has_tcp_close = true;
	opts.tcp_close = !from->keeps_tcp;
	opts.has_tcp_established = true;
	opts.tcp_established = from->keeps_tcp;
	opts.has_file_locks = true;
	opts.file_locks = true;
	opts.has_network_lock = from->own_network;
	opts.network_lock = CRIU_NETWORK_LOCK_SKIP;
	opts.root = (char *)from->root;
	opts.external = externals;
	opts.n_external = nr;
	opts.has_manage_cgroups_mode = true;
	opts.manage_cgroups_mode = CRIU_CG_MODE__IGNORE;
	req.type = CRIU_REQ_TYPE__RESTORE;
	req.opts = &opts;
	ret = rpc_send(rpc_fd, &req, err);
	free(externals);
	return ret;
}

/* What CRIU has said of its own failure counts, although its end is noticed elsewhere, too. */
static int recv_last(int rpc_fd, bool is_there, CriuResp **resp, struct error *err)
{
	struct error ignored = { 0 };

	if (is_there && rpc_recv(rpc_fd, 0, resp, &ignored) > 0 &&
	    (*resp)->type == CRIU_REQ_TYPE__RESTORE && !(*resp)->success)
		return 1;
	if (*resp)
		criu_resp__free_unpacked(*resp, NULL);
	*resp = NULL;
	return error_set(err, CODE_ABORTED, NULL, "the restore was given up");
}

/* Wait for CRIU's next message or for @cancel_fd. Return: as rpc_recv() */
static int restore_recv(int rpc_fd, int cancel_fd, CriuResp **resp, struct error *err)
{
	struct pollfd fds[] = {
		{ .fd = rpc_fd, .events = POLLIN },
		{ .fd = cancel_fd, .events = POLLIN },
	};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for CRIU");
	if (fds[1].revents)
		return recv_last(rpc_fd, fds[0].revents, resp, err);
	return rpc_recv(rpc_fd, -1, resp, err);
}

static int attach_begin(struct criu_attach *attach, const struct criu_restore_opts *opts,
			struct error *err)
{
	if (opts->attaches)
		opts->attaches(opts->ctx, true);
	return criu_attach_begin(attach, opts->criu, opts->cancel_fd, opts->threads, err);
}

static int attach_run(struct criu_attach *attach, const struct criu_restore_opts *opts,
		      struct error *err)
{
	int ret = criu_attach_run(attach, err);

	if (opts->attaches)
		opts->attaches(opts->ctx, false);
	return ret;
}

/* A network namespace of the program's own is new, or all of its sockets are there. */
static int network_notified(const struct criu_restore_opts *opts, const char *script, struct error *err)
{
	if (!opts->own_network || !opts->holds_network)
		return 0;
	if (!strcmp(script, "post-setup-namespaces"))
		return opts->holds_network(opts->ctx, true, err);
	if (!strcmp(script, "network-unlock"))
		return opts->holds_network(opts->ctx, false, err);
	return 0;
}

static int restore_notified(int rpc_fd, const struct criu_restore_opts *opts, const char *script,
			    struct error *err)
{
	/* the last one before CRIU seizes the tasks */
	const char *last = opts->own_network ? "network-unlock" : "post-restore";
	bool attaches = opts->criu && !strcmp(script, last);
	struct criu_attach attach;

	if (network_notified(opts, script, err) || (attaches && attach_begin(&attach, opts, err)))
		return -1;
	if (!strcmp(script, "pre-resume") && opts->pre_resume && opts->pre_resume(opts->ctx, err))
		return -1;
	if (rpc_answer(rpc_fd, true, err))
		return -1;
	return attaches ? attach_run(&attach, opts, err) : 0;
}

/*
 * Answer each notification.
 * Return: 0 with CRIU's last message in @resp, NULL when CRIU died without one; -1 with @err
 */
static int restore_drive(int rpc_fd, const struct criu_restore_opts *opts, CriuResp **resp,
			 struct error *err)
{
	for (;;) {
		int ret;

		*resp = NULL;
		ret = restore_recv(rpc_fd, opts->cancel_fd, resp, err);
		if (ret < 0)
			return -1;
		if (!ret || (*resp)->type != CRIU_REQ_TYPE__NOTIFY || !(*resp)->notify)
			return 0;
		ret = restore_notified(rpc_fd, opts, (*resp)->notify->script ?: "", err);
		criu_resp__free_unpacked(*resp, NULL);
		*resp = NULL;
		if (ret)
			return -1;
	}
}

/* Wait for the hang-up: CRIU may hold the tasks after its last message. */
static int restore_wait_end(int rpc_fd, struct error *err)
{
	CriuResp *resp = NULL;
	int ret = rpc_recv(rpc_fd, END_TIMEOUT_MS, &resp, err);

	if (ret <= 0)
		return ret;
	criu_resp__free_unpacked(resp, NULL);
	return error_set(err, CODE_CRIU, NULL, "CRIU goes on after it had restored the task");
}

int criu_restore_warm(int rpc_fd, struct error *err)
{
	return rpc_warm(rpc_fd, err);
}

int criu_restore_run(int rpc_fd, const struct criu_restore_opts *opts, pid_t *root,
		     struct error *err)
{
	CriuResp *resp = NULL;
	struct criu_log log;
	char kept[PATH_MAX];
	int ret;

	if (criu_log_open(&log, opts->work_dir_fd, "restore.log", err))
		return -1;
	ret = restore_request(rpc_fd, opts, log.fifo, err);
	if (!ret)
		ret = restore_drive(rpc_fd, opts, &resp, err);
	if (ret)
		goto out;
	if (resp && resp->type == CRIU_REQ_TYPE__RESTORE && resp->success && resp->restore) {
		*root = resp->restore->pid;
		ret = restore_wait_end(rpc_fd, err);
		goto out;
	}
	/* closing completes the log; the copy outlives the migration's directory */
	criu_log_close(&log, CRIU_LOG_TIMEOUT_MS);
	criu_log_keep(log.path, kept, sizeof(kept));
	rpc_failed(resp, "CRIU cannot restore the task", kept, err);
	ret = resp ? 1 : -1;
out:
	/* a CRIU without answer lives until the caller kills the namespace: do not wait */
	criu_log_close(&log, ret ? 0 : CRIU_LOG_TIMEOUT_MS);
	if (resp)
		criu_resp__free_unpacked(resp, NULL);
	return ret;
}
