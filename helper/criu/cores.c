// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include "criu/cores.h"
#include "criu/image.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE	6
#endif

static int core_store(int dir_fd, const char *name, const Img__CoreEntry *core,
		      struct error *err)
{
	struct image_out out;
	int ret;

	image_out_init(&out, IMAGE_CORE);
	image_out_add(&out, &core->base);
	ret = image_out_store(&out, dir_fd, name, err);
	image_out_free(&out);
	return ret;
}

static Img__CoreEntry *core_read(int dir_fd, pid_t tid, char *name, struct error *err)
{
	ProtobufCMessage *msg;

	snprintf(name, IMAGE_NAME_MAX, "core-%d.img", tid);
	if (image_read_one(dir_fd, name, IMAGE_CORE, &img__core_entry__descriptor, &msg, err))
		return NULL;
	return (Img__CoreEntry *)msg;
}

/*
 * CRIU 3.17.1 dumps policies that its own restore refuses. The destination sets the policy after
 * CRIU has restored the thread.
 * Return: whether @core was changed
 */
static bool sched_repair(Img__CoreEntry *core)
{
	Img__ThreadCore *thread = core->thread_core;

	if (!thread || !thread->has_sched_policy || thread->sched_policy < SCHED_DEADLINE)
		return false;
	thread->sched_policy = SCHED_OTHER;
	thread->has_sched_prio = true;
	thread->sched_prio = 0;
	return true;
}

int criu_cores_repair(int images_dir_fd, const struct criu_task *task, int mem_fd,
		      criu_wait_fn fn, void *ctx, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	uint64_t shared = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < task->nr_threads; i++) {
		struct criu_wait wait = { .tid = task->tids[i] };
		Img__CoreEntry *core = core_read(images_dir_fd, wait.tid, name, err);
		bool changed;

		if (!core)
			return -1;
		if (core->tc && core->tc->pending)
			shared = criu_signals(core->tc->pending);
		changed = sched_repair(core);
		if (criu_wait_find(core, shared)) {
			changed |= criu_wait_repair(core, &wait, mem_fd);
			fn(ctx, &wait);
		}
		if (changed)
			ret = core_store(images_dir_fd, name, core, err);
		img__core_entry__free_unpacked(core, NULL);
	}
	return ret;
}
