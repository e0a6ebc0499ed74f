// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "base/report.h"
#include "source/mounts.h"
#include "source/namespaces.h"
#include "source/needs.h"
#include "source/refuse.h"
#include "source/setup.h"
#include "wire/codec.h"

#define REPLY_TIMEOUT_MS	60000
#define FIXED_MAX_NS		3600000000000UL	/* an hour: no restore takes so long */

struct said_mount {
	Migrate__Mount msg;
	char name[SOURCE_MOUNT_NAME];
};

struct said_tmpfs {
	Migrate__Tmpfs msg;
	char name[SOURCE_MOUNT_NAME];
};

/** struct setup_message - a message in the making, with all that it points to */
struct setup_message {
	Migrate__Setup msg;
	Migrate__CriuVersion criu;
	Migrate__Vma *vmas, **vma_list;
	struct needs needs;
	Migrate__Object *objects, **object_list;
	struct said_mount *mounts;
	Migrate__Mount **mount_list;
	struct said_tmpfs *tmpfs;
	Migrate__Tmpfs **tmpfs_list;
	struct said_namespaces namespaces;
	char **flags, *flag_text;
	ProtobufCBinaryData kept[NET_ADDRESSES_MAX];
	Migrate__Compression codecs[CODECS_SAID];
	char asked[CRIU_OPTIONS_MAX][CRIU_OPTION_BYTES], *asked_list[CRIU_OPTIONS_MAX];
};

static int build_vmas(const struct vma_list *list, Migrate__Vma **vmas, Migrate__Vma ***pointers)
{
	*vmas = calloc(list->nr + 1, sizeof(**vmas));
	*pointers = calloc(list->nr + 1, sizeof(**pointers));
	if (!*vmas || !*pointers)
		return -1;
	for (size_t i = 0; i < list->nr; i++) {
		const struct vma *from = &list->vmas[i];
		Migrate__Vma *to = &(*vmas)[i];

		migrate__vma__init(to);
		to->start = from->start;
		to->end = from->end;
		to->prot = from->prot;
		to->shared = from->shared;
		to->anon = from->anon;
		to->ours = vma_is_ours(from);
		to->has_huge_kib = from->hugetlb;
		to->huge_kib = from->page_kib;
		to->name = *from->name ? from->name : NULL;
		(*pointers)[i] = to;
	}
	return 0;
}

int setup_send_maps(struct control *ctl, uint32_t object, const struct vma_list *list,
		    struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Maps maps = MIGRATE__MAPS__INIT;
	Migrate__Vma *vmas = NULL;
	int ret;

	maps.object = object;
	if (build_vmas(list, &vmas, &maps.vmas)) {
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	} else {
		maps.n_vmas = list->nr;
		msg.body_case = MIGRATE__CONTROL__BODY_MAPS;
		msg.maps = &maps;
		ret = control_send(ctl, &msg, err);
	}
	free(vmas);
	free(maps.vmas);
	return ret;
}

static void object_fill(Migrate__Object *object, const struct tree *tree,
			const struct source_process *process)
{
	const struct source_mm *parent = tree_find_mm(tree, process->inherit.parent);

	migrate__object__init(object);
	object->id = process->mm.object;
	object->kind = MIGRATE__OBJECT_KIND__MM;
	object->has_pid = true;
	object->pid = process->status.ns_pid;
	object->has_parent = !!parent;
	object->parent = parent ? parent->object : 0;
}

/** struct changes - a message in the making, with all that it points to */
struct changes {
	Migrate__Objects msg;
	Migrate__Object *begun, **begun_list;
	uint32_t *gone;
};

static int build_changes(struct changes *changes, const struct tree *tree)
{
	changes->begun = calloc(tree->nr, sizeof(*changes->begun));
	changes->begun_list = calloc(tree->nr, sizeof(*changes->begun_list));
	changes->gone = calloc(tree->nr, sizeof(*changes->gone));
	if (!changes->begun || !changes->begun_list || !changes->gone)
		return -1;
	for (size_t i = 0; i < tree->nr; i++) {
		struct source_process *process = tree->processes[i];
		size_t nr = changes->msg.n_begun;

		if (process->gone && process->announced)
			changes->gone[changes->msg.n_gone++] = process->mm.object;
		if (process->gone || process->announced)
			continue;
		object_fill(&changes->begun[nr], tree, process);
		changes->begun_list[nr] = &changes->begun[nr];
		changes->msg.n_begun++;
	}
	changes->msg.begun = changes->begun_list;
	changes->msg.gone = changes->gone;
	return 0;
}

static void changes_free(struct changes *changes)
{
	free(changes->begun);
	free(changes->begun_list);
	free(changes->gone);
}

static int send_new_maps(struct control *ctl, const struct tree *tree, struct error *err)
{
	struct source_process *process;

	tree_for_each(tree, process) {
		if (!process->announced &&
		    setup_send_maps(ctl, process->mm.object, &process->mm.vmas, err))
			return -1;
		process->announced = true;
	}
	return 0;
}

int setup_send_changes(struct control *ctl, struct tree *tree, struct error *err)
{
	struct changes changes = { .msg = MIGRATE__OBJECTS__INIT };
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	int ret = 0;

	msg.body_case = MIGRATE__CONTROL__BODY_OBJECTS;
	msg.objects = &changes.msg;
	if (build_changes(&changes, tree))
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	else if (changes.msg.n_begun || changes.msg.n_gone)
		ret = control_send(ctl, &msg, err);
	changes_free(&changes);
	if (ret || send_new_maps(ctl, tree, err))
		return -1;
	tree_drop_gone(tree);
	return 0;
}

/* That a file of /dev/shm is there already is said before anything is sent. */
static void build_shared(struct source_shms *shms, struct setup_message *setup)
{
	for (size_t i = 0; i < shms->nr; i++) {
		size_t nr = setup->msg.n_objects;

		if (shms->list[i]->gone)
			continue;
		source_shm_say(shms->list[i], &setup->objects[nr]);
		setup->object_list[nr] = &setup->objects[nr];
		setup->msg.n_objects++;
		shms->list[i]->announced = true;
	}
}

static int build_objects(const struct tree *tree, struct source_shms *shms,
			 struct setup_message *setup)
{
	size_t most = tree->nr + shms->nr;
	struct source_process *process;

	setup->objects = calloc(most, sizeof(*setup->objects));
	setup->object_list = calloc(most, sizeof(*setup->object_list));
	if (!setup->objects || !setup->object_list)
		return -1;
	setup->msg.objects = setup->object_list;
	tree_for_each(tree, process) {
		size_t nr = setup->msg.n_objects++;

		object_fill(&setup->objects[nr], tree, process);
		setup->object_list[nr] = &setup->objects[nr];
		process->announced = true;
	}
	build_shared(shms, setup);
	return 0;
}

static int build_cpu_flags(struct setup_message *setup)
{
	size_t nr = 0;
	char *save;

	setup->flag_text = proc_cpu_flags();
	if (!setup->flag_text)
		return 0;
	setup->flags = calloc(strlen(setup->flag_text) / 2 + 2, sizeof(*setup->flags));
	if (!setup->flags)
		return -1;
	for (char *flag = strtok_r(setup->flag_text, " ", &save); flag;
	     flag = strtok_r(NULL, " ", &save))
		setup->flags[nr++] = flag;
	setup->msg.cpu_flags = setup->flags;
	setup->msg.n_cpu_flags = nr;
	return 0;
}

static void setup_free(struct setup_message *setup)
{
	free(setup->vmas);
	free(setup->vma_list);
	needs_free(&setup->needs);
	free(setup->objects);
	free(setup->object_list);
	free(setup->mounts);
	free(setup->mount_list);
	free(setup->tmpfs);
	free(setup->tmpfs_list);
	said_namespaces_free(&setup->namespaces);
	free(setup->flags);
	free(setup->flag_text);
}

/* The pages of files stay here, and shared memory is one for all processes that have it. */
static void count(const struct tree *tree, const struct setup *ctx, Migrate__Setup *msg)
{
	struct source_process *process;
	uint64_t shmem = 0, files = ctx->tmpfs_bytes + ctx->tmpfs_pages * PAGE_BYTES;

	tree_for_each(tree, process) {
		const struct proc_status *status = &process->status;

		msg->threads += status->threads;
		msg->rss_bytes += status->own_bytes;
		shmem = status->shmem_bytes > shmem ? status->shmem_bytes : shmem;
	}
	/* files of its own tmpfs, which are announced too, may be what is mapped */
	msg->rss_bytes += shmem > files ? shmem - files : 0;
	msg->rss_bytes += ctx->tmpfs_pages * PAGE_BYTES;
}

static void add_kept(const struct net_addresses *kept, struct setup_message *setup)
{
	setup->msg.has_keeps_tcp = true;
	setup->msg.keeps_tcp = true;
	setup->msg.kept_addresses = setup->kept;
	setup->msg.n_kept_addresses = kept->nr;
	for (size_t i = 0; i < kept->nr; i++) {
		setup->kept[i].len = kept->items[i].len;
		setup->kept[i].data = (uint8_t *)kept->items[i].bytes;
	}
}

static int add_mounts(const struct source_mounts *mounts, struct setup_message *setup)
{
	size_t nr = mounts && mounts->own ? mounts->list.nr : 0;

	setup->mounts = calloc(nr + 1, sizeof(*setup->mounts));
	setup->mount_list = calloc(nr + 1, sizeof(*setup->mount_list));
	if (!setup->mounts || !setup->mount_list)
		return -1;
	setup->msg.mounts = setup->mount_list;
	setup->msg.root = nr ? (char *)source_mounts_root(mounts) : NULL;
	setup->msg.has_root_follows = nr;
	setup->msg.root_follows = nr && source_mounts_follows(mounts, mount_list_root(&mounts->list));
	for (size_t i = 0; i < nr; i++) {
		struct said_mount *to = &setup->mounts[setup->msg.n_mounts];

		if (!source_mounts_is_outside(mounts, i))
			continue;
		migrate__mount__init(&to->msg);
		source_mounts_key(i, to->name);
		to->msg.name = to->name;
		to->msg.path = mounts->here[i];
		to->msg.has_follows = true;
		to->msg.follows = source_mounts_follows(mounts, i);
		setup->mount_list[setup->msg.n_mounts++] = &to->msg;
	}
	return 0;
}

static int add_tmpfs(const struct source_mounts *mounts, struct setup_message *setup)
{
	size_t nr = mounts && mounts->own ? mounts->list.nr : 0;

	setup->tmpfs = calloc(nr + 1, sizeof(*setup->tmpfs));
	setup->tmpfs_list = calloc(nr + 1, sizeof(*setup->tmpfs_list));
	if (!setup->tmpfs || !setup->tmpfs_list)
		return -1;
	setup->msg.tmpfs = setup->tmpfs_list;
	for (size_t i = 0; i < nr; i++) {
		struct said_tmpfs *to = &setup->tmpfs[setup->msg.n_tmpfs];

		if (!source_mounts_is_copied(mounts, i))
			continue;
		migrate__tmpfs__init(&to->msg);
		source_mounts_key(i, to->name);
		to->msg.name = to->name;
		to->msg.options = mounts->list.mounts[i].options;
		to->msg.flags = mounts->list.mounts[i].flags;
		setup->tmpfs_list[setup->msg.n_tmpfs++] = &to->msg;
	}
	return 0;
}

static void add_asked(const struct criu_config *config, struct setup_message *setup)
{
	setup->msg.criu_options = setup->asked_list;
	for (size_t i = 0; config && i < config->nr; i++) {
		size_t nr = setup->msg.n_criu_options;

		setup->asked_list[nr] = setup->asked[nr];
		if (criu_config_ask(&config->options[i], setup->asked[nr]))
			setup->msg.n_criu_options++;
	}
}

static int send_setup(const struct setup *ctx, struct setup_message *setup, struct error *err)
{
	const struct source_process *root = tree_root(ctx->tree);
	const struct vma_list *vmas = &root->mm.vmas;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct needs *needs = &setup->needs;
	struct utsname uts;

	if (build_vmas(vmas, &setup->vmas, &setup->vma_list) ||
	    build_objects(ctx->tree, ctx->shms, setup) || build_cpu_flags(setup) ||
	    add_mounts(ctx->tree->mounts, setup) || add_tmpfs(ctx->tree->mounts, setup))
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	if (needs_find(ctx->opts, ctx->tree, &setup->needs, err) ||
	    said_namespaces_add(&setup->namespaces, ctx->tree, &setup->msg, err))
		return -1;
	uname(&uts);
	migrate__criu_version__init(&setup->criu);
	setup->criu.major = ctx->criu->major;
	setup->criu.minor = ctx->criu->minor;
	setup->criu.sublevel = ctx->criu->sublevel;
	setup->msg.pid = root->status.ns_pid;
	setup->msg.comm = (char *)root->status.comm;
	count(ctx->tree, ctx, &setup->msg);
	/* those of the root are in its mappings */
	needs_find_huge(ctx->tree, true, &setup->needs);
	setup->msg.vmas = setup->vma_list;
	setup->msg.n_vmas = vmas->nr;
	setup->msg.files = needs->files.list;
	setup->msg.n_files = needs->files.nr;
	setup->msg.addresses = needs->addresses.list;
	setup->msg.n_addresses = needs->addresses.nr;
	setup->msg.unix_servers = needs->reconnect.server_list;
	setup->msg.n_unix_servers = needs->reconnect.nr_servers;
	setup->msg.huge_pages = needs->huge_list;
	setup->msg.n_huge_pages = needs->nr_huge;
	setup->msg.criu = &setup->criu;
	setup->msg.kernel = uts.release;
	setup->msg.arch = uts.machine;
	setup->msg.mode = (char *)migrate_mode_name(ctx->mode);
	setup->msg.has_verify = true;
	setup->msg.verify = ctx->verify;
	setup->msg.has_descriptors = true;
	setup->msg.descriptors = ctx->shape->descriptors;
	setup->msg.has_image_pages = true;
	setup->msg.image_pages = ctx->shape->image_pages;
	setup->msg.has_ghost_bytes = true;
	setup->msg.ghost_bytes = ctx->ghost_bytes;
	setup->msg.has_tmpfs_bytes = true;
	setup->msg.tmpfs_bytes = ctx->tmpfs_bytes;
	setup->msg.has_mappings = true;
	setup->msg.mappings = ctx->shape->mappings;
	setup->msg.max_frozen_s = ctx->max_frozen_s;
	setup->msg.own_cgroup_ns = setup->msg.has_own_cgroup_ns = has_own_cgroup_ns(ctx->tree);
	if (ctx->kept)
		add_kept(ctx->kept, setup);
	setup->msg.has_own_network = setup->msg.own_network = ctx->tree->own_network;
	add_asked(ctx->config, setup);
	setup->msg.compressions = setup->codecs;
	setup->msg.n_compressions = codecs_say(*ctx->codecs, setup->codecs);
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP;
	msg.setup = &setup->msg;
	return control_send(ctx->ctl, &msg, err);
}

static int take_reply(const struct setup *setup, uint64_t *peer_fixed_ns, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(setup->box, MIGRATE__CONTROL__BODY_SETUP_REPLY,
					       REPLY_TIMEOUT_MS, err);
	const Migrate__SetupReply *reply;

	if (!msg)
		return -1;
	reply = msg->setup_reply;
	if (!reply->ok)
		needs_take_refusals(reply->refusals, reply->n_refusals, err);
	*peer_fixed_ns = reply->has_fixed_cost_ns ? reply->fixed_cost_ns : 0;
	if (*peer_fixed_ns > FIXED_MAX_NS)
		*peer_fixed_ns = FIXED_MAX_NS;
	*setup->codecs &= codecs_take(reply->compressions, reply->n_compressions);
	migrate__control__free_unpacked(msg, NULL);
	return error_is_set(err) ? -1 : 0;
}

/* Setup has the mappings of the root alone. */
static int send_others_maps(const struct setup *setup, struct error *err)
{
	struct source_process *process;

	tree_for_each(setup->tree, process) {
		process->mm.begun = true;
		if (process != tree_root(setup->tree) &&
		    setup_send_maps(setup->ctl, process->mm.object, &process->mm.vmas, err))
			return -1;
	}
	return 0;
}

int setup_run(const struct setup *setup, uint64_t *peer_fixed_ns, struct error *err)
{
	struct setup_message message = { .msg = MIGRATE__SETUP__INIT };
	int ret = send_setup(setup, &message, err) || take_reply(setup, peer_fixed_ns, err) ? -1 : 0;

	if (ret && err->code == CODE_PEER)
		*setup->stale = needs_are_stale(setup->opts, setup->tree, &message.needs);
	setup_free(&message);
	needs_mark_asked(setup->tree);
	return ret ? -1 : send_others_maps(setup, err);
}
