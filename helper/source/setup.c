// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "source/outgoing.h"
#include "source/setup_files.h"
#include "base/report.h"

#define REPLY_TIMEOUT_MS	60000
#define REFUSALS_SAID		32
#define FIXED_MAX_NS		3600000000000UL	/* an hour: no restore takes so long */

/** struct setup - a message in the making, with all that it points to */
struct setup {
	Migrate__Setup msg;
	Migrate__CriuVersion criu;
	Migrate__Vma *vmas, **vma_list;
	struct setup_files files;
	struct reconnect_message reconnect;
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
		to->name = *from->name ? from->name : NULL;
		(*pointers)[i] = to;
	}
	return 0;
}

int outgoing_send_maps(struct outgoing *out, const struct vma_list *list, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Maps maps = MIGRATE__MAPS__INIT;
	Migrate__Vma *vmas = NULL;
	int ret;

	if (build_vmas(list, &vmas, &maps.vmas)) {
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	} else {
		maps.n_vmas = list->nr;
		msg.body_case = MIGRATE__CONTROL__BODY_MAPS;
		msg.maps = &maps;
		ret = control_send(out->ctl, &msg, err);
	}
	free(vmas);
	free(maps.vmas);
	return ret;
}

static int build_cpu_flags(struct setup *setup)
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

static void setup_free(struct setup *setup)
{
	free(setup->vmas);
	free(setup->vma_list);
	setup_files_free(&setup->files);
	reconnect_message_free(&setup->reconnect);
	free(setup->flags);
	free(setup->flag_text);
}

static int send_setup(struct outgoing *out, struct setup *setup, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct utsname uts;

	if (build_vmas(&out->vmas, &setup->vmas, &setup->vma_list) || build_cpu_flags(setup))
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	if (setup_files_find(out, &setup->files, err))
		return -1;
	if (reconnects_servers(&out->reconnects, &setup->reconnect, err))
		return -1;
	uname(&uts);
	migrate__criu_version__init(&setup->criu);
	setup->criu.major = out->criu.major;
	setup->criu.minor = out->criu.minor;
	setup->criu.sublevel = out->criu.sublevel;
	setup->msg.pid = out->target.ns_pid;
	setup->msg.comm = out->target.comm;
	setup->msg.threads = out->target.threads;
	setup->msg.vmas = setup->vma_list;
	setup->msg.n_vmas = out->vmas.nr;
	setup->msg.files = setup->files.list;
	setup->msg.n_files = setup->files.nr;
	setup->msg.unix_servers = setup->reconnect.server_list;
	setup->msg.n_unix_servers = setup->reconnect.nr_servers;
	setup->msg.rss_bytes = out->target.rss_bytes;
	setup->msg.criu = &setup->criu;
	setup->msg.kernel = uts.release;
	setup->msg.arch = uts.machine;
	setup->msg.mode = (char *)migrate_mode_name(out->mode);
	setup->msg.has_verify = true;
	setup->msg.verify = out->verify;
	setup->msg.max_frozen_s = out->opts->max_frozen_s;
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP;
	msg.setup = &setup->msg;
	return control_send(out->ctl, &msg, err);
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

static int take_reply(struct outgoing *out, struct error *err)
{
	Migrate__Control *msg = mailbox_expect(&out->box, MIGRATE__CONTROL__BODY_SETUP_REPLY,
						REPLY_TIMEOUT_MS, err);
	const Migrate__SetupReply *reply;

	if (!msg)
		return -1;
	reply = msg->setup_reply;
	if (!reply->ok)
		take_refusals(reply, err);
	out->peer_fixed_ns = reply->has_fixed_cost_ns ? reply->fixed_cost_ns : 0;
	if (out->peer_fixed_ns > FIXED_MAX_NS)
		out->peer_fixed_ns = FIXED_MAX_NS;
	migrate__control__free_unpacked(msg, NULL);
	return error_is_set(err) ? -1 : 0;
}

int outgoing_setup(struct outgoing *out, struct error *err)
{
	struct setup setup = { .msg = MIGRATE__SETUP__INIT };
	int ret = send_setup(out, &setup, err);

	setup_free(&setup);
	return ret ? ret : take_reply(out, err);
}
