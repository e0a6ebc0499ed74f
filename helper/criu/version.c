// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "criu/criu.h"
#include "criu/rpc.h"

static const char hint_check[] = "`criu check` as root says what is missing";

int criu_version_get(struct criu_version *version, struct error *err)
{
	CriuReq req = CRIU_REQ__INIT;
	CriuResp *resp = NULL;
	int ret = 0;

	req.type = CRIU_REQ_TYPE__VERSION;
	if (rpc_call(&req, &resp, err))
		return -1;
	if (resp->success && resp->version) {
		version->major = resp->version->major_number;
		version->minor = resp->version->minor_number;
		version->sublevel = resp->version->has_sublevel ? resp->version->sublevel : 0;
	} else {
		ret = error_set(err, CODE_NOT_READY, NULL, "CRIU does not tell its version");
	}
	criu_resp__free_unpacked(resp, NULL);
	return ret;
}

static int check_request(int dir_fd, struct error *err)
{
	CriuOpts opts = CRIU_OPTS__INIT;
	CriuReq req = CRIU_REQ__INIT;
	CriuResp *resp = NULL;
	int ret = 0;

	opts.images_dir_fd = dir_fd;
	opts.log_file = "check.log";
	req.type = CRIU_REQ_TYPE__CHECK;
	req.opts = &opts;
	if (rpc_call(&req, &resp, err))
		return -1;
	if (!resp->success)
		ret = error_set(err, CODE_NOT_READY, hint_check,
				"CRIU does not work on this machine");
	criu_resp__free_unpacked(resp, NULL);
	return ret;
}

/* CRIU 3.17 fails a check without a directory, which it needs for its log only. */
static int check_machine(struct error *err)
{
	char path[] = "/run/migrate-check-XXXXXX";
	int dir_fd, ret;

	if (!mkdtemp(path))
		return error_errno(err, CODE_NOT_READY, "run as root, with a writable /run",
				   "cannot make a directory in /run");
	dir_fd = open(path, O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot open %s", path);
	} else {
		ret = check_request(dir_fd, err);
		unlinkat(dir_fd, "check.log", 0);
		close(dir_fd);
	}
	rmdir(path);
	return ret;
}

static int check_features(bool dumps, struct error *err)
{
	CriuFeatures features = CRIU_FEATURES__INIT;
	CriuReq req = CRIU_REQ__INIT;
	CriuResp *resp = NULL;
	int ret = 0;

	features.has_mem_track = true;
	features.mem_track = true;
	features.has_lazy_pages = true;
	features.lazy_pages = true;
	req.type = CRIU_REQ_TYPE__FEATURE_CHECK;
	req.features = &features;
	if (rpc_call(&req, &resp, err))
		return -1;
	if (!resp->success || !resp->features)
		ret = error_set(err, CODE_NOT_READY, hint_check,
				"CRIU does not tell what it can do");
	else if (dumps && !resp->features->mem_track)
		ret = error_set(err, CODE_NOT_READY, "use a kernel with CONFIG_MEM_SOFT_DIRTY",
				"CRIU cannot track changes of memory here");
	else if (!resp->features->lazy_pages)
		ret = error_set(err, CODE_NOT_READY,
				"use a kernel with CONFIG_USERFAULTFD, and run as root",
				"CRIU cannot restore memory on demand here");
	criu_resp__free_unpacked(resp, NULL);
	return ret;
}

int criu_check(struct error *err)
{
	return check_machine(err) || check_features(true, err) ? -1 : 0;
}

int criu_check_restore(struct error *err)
{
	return check_machine(err) || check_features(false, err) ? -1 : 0;
}
