// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "base/report.h"
#include "source/addresses.h"
#include "source/setup.h"
#include "source/setup_files.h"

#define REPLY_TIMEOUT_MS	60000
#define REFUSALS_SAID		32
#define HUGE_SIZES_MAX		2	/* of x86 */
#define FIXED_MAX_NS		3600000000000UL	/* an hour: no restore takes so long */

/** struct setup_message - a message in the making, with all that it points to */
struct setup_message {
	Migrate__Setup msg;
	Migrate__CriuVersion criu;
	Migrate__Vma *vmas, **vma_list;
	struct setup_files files;
	struct reconnect_message reconnect;
	struct addresses addresses;
	Migrate__Object *objects, **object_list;
	Migrate__HugePages huge[HUGE_SIZES_MAX], *huge_list[HUGE_SIZES_MAX];
	char **flags, *flag_text;
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

static int build_objects(const struct tree *tree, struct setup_message *setup)
{
	struct source_process *process;

	setup->objects = calloc(tree->nr, sizeof(*setup->objects));
	setup->object_list = calloc(tree->nr, sizeof(*setup->object_list));
	if (!setup->objects || !setup->object_list)
		return -1;
	setup->msg.objects = setup->object_list;
	tree_for_each(tree, process) {
		size_t nr = setup->msg.n_objects++;

		object_fill(&setup->objects[nr], tree, process);
		setup->object_list[nr] = &setup->objects[nr];
		process->announced = true;
	}
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
	setup_files_free(&setup->files);
	reconnect_message_free(&setup->reconnect);
	addresses_free(&setup->addresses);
	free(setup->objects);
	free(setup->object_list);
	free(setup->flags);
	free(setup->flag_text);
}

static int find_needs_of(const struct migrate_options *opts, const struct source_process *process,
			 struct setup_message *setup, struct error *err)
{
	struct proc_files open_files;
	int ret;

	if (proc_files_read(process->pid, &open_files, err))
		return -1;
	ret = setup_files_find(opts, process, &open_files, &setup->files, err) ||
	      addresses_find(&open_files, &setup->addresses, err) ||
	      reconnects_servers(&process->attached.reconnects, &setup->reconnect, err) ? -1 : 0;
	proc_files_free(&open_files);
	return ret;
}

/* What must be at the destination, or must be free there. */
static int find_needs(const struct migrate_options *opts, const struct tree *tree,
		      struct setup_message *setup, struct error *err)
{
	struct source_process *process;

	tree_for_each(tree, process)
		if (find_needs_of(opts, process, setup, err) &&
		    !tree_forgive(tree, process, err))
			return -1;
	return 0;
}

/* The pages of files stay here, and shared memory is one for all processes that have it. */
static void count(const struct tree *tree, Migrate__Setup *msg)
{
	struct source_process *process;
	uint64_t shmem = 0;

	tree_for_each(tree, process) {
		const struct proc_status *status = &process->status;

		msg->threads += status->threads;
		msg->rss_bytes += status->own_bytes;
		shmem = status->shmem_bytes > shmem ? status->shmem_bytes : shmem;
	}
	msg->rss_bytes += shmem;
}

static void add_huge(struct setup_message *setup, const struct vma *vma)
{
	size_t i = 0;

	while (i < setup->msg.n_huge_pages && setup->huge[i].kib != vma->page_kib)
		i++;
	if (i == HUGE_SIZES_MAX)
		return;
	if (i == setup->msg.n_huge_pages) {
		migrate__huge_pages__init(&setup->huge[i]);
		setup->huge[i].kib = vma->page_kib;
		setup->huge_list[i] = &setup->huge[i];
		setup->msg.n_huge_pages++;
	}
	setup->huge[i].bytes += vma->end - vma->start;
}

/* Shared pages are there once. */
static bool is_of_another(const struct tree *tree, const struct source_process *of,
			  const struct vma *vma)
{
	const struct source_process *process;

	tree_for_each(tree, process) {
		if (process == of)
			return false;
		for (size_t i = 0; i < process->mm.vmas.nr; i++) {
			const struct vma *other = &process->mm.vmas.vmas[i];

			if (other->shared && other->ino == vma->ino && other->major == vma->major &&
			    other->minor == vma->minor)
				return true;
		}
	}
	return false;
}

/* Those of the root are in its mappings. */
static void find_huge(const struct tree *tree, struct setup_message *setup)
{
	const struct source_process *process;

	setup->msg.huge_pages = setup->huge_list;
	tree_for_each(tree, process)
		for (size_t i = 0; process != tree_root(tree) && i < process->mm.vmas.nr; i++)
			if (process->mm.vmas.vmas[i].hugetlb &&
			    !(process->mm.vmas.vmas[i].shared &&
			      is_of_another(tree, process, &process->mm.vmas.vmas[i])))
				add_huge(setup, &process->mm.vmas.vmas[i]);
}

static int send_setup(const struct setup *ctx, struct setup_message *setup, struct error *err)
{
	const struct source_process *root = tree_root(ctx->tree);
	const struct vma_list *vmas = &root->mm.vmas;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct utsname uts;

	if (build_vmas(vmas, &setup->vmas, &setup->vma_list) ||
	    build_objects(ctx->tree, setup) || build_cpu_flags(setup))
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	if (find_needs(ctx->opts, ctx->tree, setup, err))
		return -1;
	uname(&uts);
	migrate__criu_version__init(&setup->criu);
	setup->criu.major = ctx->criu->major;
	setup->criu.minor = ctx->criu->minor;
	setup->criu.sublevel = ctx->criu->sublevel;
	setup->msg.pid = root->status.ns_pid;
	setup->msg.comm = (char *)root->status.comm;
	count(ctx->tree, &setup->msg);
	find_huge(ctx->tree, setup);
	setup->msg.vmas = setup->vma_list;
	setup->msg.n_vmas = vmas->nr;
	setup->msg.files = setup->files.list;
	setup->msg.n_files = setup->files.nr;
	setup->msg.addresses = setup->addresses.list;
	setup->msg.n_addresses = setup->addresses.nr;
	setup->msg.unix_servers = setup->reconnect.server_list;
	setup->msg.n_unix_servers = setup->reconnect.nr_servers;
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
	setup->msg.has_mappings = true;
	setup->msg.mappings = ctx->shape->mappings;
	setup->msg.max_frozen_s = ctx->max_frozen_s;
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP;
	msg.setup = &setup->msg;
	return control_send(ctx->ctl, &msg, err);
}

/* The only reason becomes the error; of several each is said. */
static void take_refusals(const Migrate__SetupReply *reply, struct error *err)
{
	if (reply->n_refusals < 2) {
		error_set(err, CODE_PEER, NULL, "the destination refuses: %s",
			  reply->n_refusals ? reply->refusals[0] : "it does not say why");
		return;
	}
	for (size_t i = 0; i < reply->n_refusals && i < REFUSALS_SAID; i++)
		report_say("the destination refuses: %s", reply->refusals[i]);
	error_set(err, CODE_PEER, NULL, "the destination refuses, for the %zu reasons above",
		  reply->n_refusals);
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
		take_refusals(reply, err);
	*peer_fixed_ns = reply->has_fixed_cost_ns ? reply->fixed_cost_ns : 0;
	if (*peer_fixed_ns > FIXED_MAX_NS)
		*peer_fixed_ns = FIXED_MAX_NS;
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
	int ret = send_setup(setup, &message, err);

	setup_free(&message);
	if (ret || take_reply(setup, peer_fixed_ns, err))
		return -1;
	return send_others_maps(setup, err);
}
