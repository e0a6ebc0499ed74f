// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "criu/creds.h"
#include "criu/image.h"
#include "images.pb-c.h"

#define GHOST_PREFIX	"ghost-file-"

static bool some(const uint32_t *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (words[i])
			return true;
	return false;
}

static bool is_text(const char *text)
{
	return text && *text;
}

/* Return: false when there are too many limits */
static bool take_process(struct criu_creds *creds, const Img__TaskCore *task)
{
	const Img__TaskRlimits *limits = task->rlimits;

	creds->has_loginuid = task->has_loginuid;
	creds->loginuid = task->loginuid;
	creds->oom_score_adj = task->oom_score_adj;
	creds->nr_limits = limits ? limits->n_rlimits : 0;
	if (creds->nr_limits > CRIU_CREDS_LIMITS)
		return false;
	for (size_t i = 0; i < creds->nr_limits; i++)
		creds->limits[i] = limits->rlimits[i]->max;
	return true;
}

static int tell(pid_t tid, const Img__CoreEntry *core, criu_creds_fn fn, void *ctx, struct error *err)
{
	const Img__CredsEntry *said = core->thread_core->creds;
	struct criu_creds creds = {
		.tid = tid,
		.uids = { said->uid, said->euid, said->suid, said->fsuid },
		.gids = { said->gid, said->egid, said->sgid, said->fsgid },
		.groups = said->groups, .nr_groups = said->n_groups,
		.capable = some(said->cap_inh, said->n_cap_inh) || some(said->cap_prm, said->n_cap_prm) ||
			   some(said->cap_eff, said->n_cap_eff) || some(said->cap_amb, said->n_cap_amb),
		.secbits = said->secbits, .no_new_privs = said->no_new_privs,
		.labelled = is_text(said->lsm_profile) || is_text(said->lsm_sockcreate) || said->apparmor.len,
		.policy = core->thread_core->sched_policy, .nice = core->thread_core->sched_nice,
	};

	for (size_t i = 0; i < said->n_cap_bnd && i < 2; i++)
		creds.bounds |= (uint64_t)said->cap_bnd[i] << 32 * i;
	if (core->tc && !take_process(&creds, core->tc))
		return error_set(err, CODE_CRIU, NULL, "the images have more limits of process %d than there are", tid);
	return fn(ctx, &creds, err);
}

static int look(int dir_fd, pid_t tid, criu_creds_fn fn, void *ctx, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	ProtobufCMessage *msg;
	Img__CoreEntry *core;
	int ret;

	snprintf(name, sizeof(name), "core-%d.img", tid);
	if (image_read_one(dir_fd, name, IMAGE_CORE, &img__core_entry__descriptor, &msg, err))
		return -1;
	core = (Img__CoreEntry *)msg;
	if (core->thread_core && core->thread_core->creds)
		ret = tell(tid, core, fn, ctx, err);
	else
		/* CRIU would look for it in an image of its own, as old versions wrote it */
		ret = error_set(err, CODE_CRIU, NULL, "the images do not say whose thread %d is", tid);
	img__core_entry__free_unpacked(core, NULL);
	return ret;
}

int criu_creds_each(int images_dir_fd, const struct criu_task *task, criu_creds_fn fn, void *ctx, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < task->nr_threads && !ret; i++)
		ret = look(images_dir_fd, task->tids[i], fn, ctx, err);
	return ret;
}

static int look_at_ghost(int dir_fd, const char *name, criu_ghost_fn fn, void *ctx, struct error *err)
{
	Img__GhostFileEntry *ghost;
	ProtobufCMessage *msg;
	int ret;

	if (image_read_one(dir_fd, name, IMAGE_GHOST_FILE, &img__ghost_file_entry__descriptor, &msg, err))
		return -1;
	ghost = (Img__GhostFileEntry *)msg;
	ret = fn(ctx, ghost->uid, ghost->gid, ghost->mode, err);
	img__ghost_file_entry__free_unpacked(ghost, NULL);
	return ret;
}

int criu_ghosts_each(int images_dir_fd, criu_ghost_fn fn, void *ctx, struct error *err)
{
	int fd = openat(images_dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC), ret = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
	}
	while (!ret && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, GHOST_PREFIX, strlen(GHOST_PREFIX)))
			ret = look_at_ghost(images_dir_fd, entry->d_name, fn, ctx, err);
	closedir(dir);
	return ret;
}
