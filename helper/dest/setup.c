// SPDX-License-Identifier: GPL-2.0
#include <linux/memfd.h>
#include <malloc.h>
#include <stdlib.h>
#include "base/clock.h"
#include "dest/precheck.h"
#include "dest/precheck_files.h"
#include "dest/precheck_sockets.h"
#include "dest/sender_check.h"
#include "dest/setup.h"
#include "dest/tell.h"
#include "session/cost.h"
#include "wire/codec.h"

#define SETUP_TIMEOUT_MS	20000	/* from the connection to Setup */
#define MAX_FROZEN_S		86400	/* most that --max-frozen takes */

void setup_begin(struct setup *setup)
{
	setup->by_ms = clock_now_ms() + SETUP_TIMEOUT_MS;
}

void setup_destroy(struct setup *setup)
{
	if (setup->msg)
		migrate__control__free_unpacked(setup->msg, NULL);
	setup->msg = NULL;
	setup->said = NULL;
}

/* Return: time left in ms, at least 1 */
static int left_ms(const struct setup *setup)
{
	int64_t left = setup->by_ms - clock_now_ms();

	return left > 1 ? left : 1;
}

int setup_late(const struct setup *setup, const char *what, struct error *err)
{
	return left_ms(setup) > 1 ? 0 :
	       error_set(err, CODE_NETWORK, NULL, "the source did not make %s within %d s", what,
			 SETUP_TIMEOUT_MS / 1000);
}

uint32_t setup_max_frozen_s(const struct setup *setup)
{
	uint32_t said = setup->said->max_frozen_s;

	return said < MAX_FROZEN_S ? said : MAX_FROZEN_S;
}

/* A source that knows of no streams makes one. */
static int take_streams(const Migrate__Hello *hello, unsigned int *streams, struct error *err)
{
	*streams = hello->has_streams ? hello->streams : 1;
	return *streams && *streams <= STREAMS_MAX ? 0 :
	       error_set(err, CODE_PEER, NULL, "the source %s wants %u memory streams: 1 to %d are taken here",
			 hello->hostname, *streams, STREAMS_MAX);
}

int setup_greet(struct setup *setup, unsigned int *streams, struct error *err)
{
	Migrate__Control *got;
	int ret = 0;

	if (control_send_hello(setup->peer->ctl, STREAMS_MAX, err))
		return -1;
	got = mailbox_expect(&setup->peer->box, MIGRATE__CONTROL__BODY_HELLO, left_ms(setup), err);
	if (!got)
		return -1;
	if (got->hello->version != PROTOCOL_VERSION)
		ret = error_set(err, CODE_PEER, "install the same version on both machines",
				"the source %s speaks version %u of the protocol, we speak %d",
				got->hello->hostname, got->hello->version, PROTOCOL_VERSION);
	else
		ret = take_streams(got->hello, streams, err);
	if (!ret)
		tell("source", json_pack("{s:s,s:s}", "hostname", got->hello->hostname,
						 "software", got->hello->software),
		     "migration from %s (%s)", got->hello->hostname,
		     got->hello->software);
	migrate__control__free_unpacked(got, NULL);
	return ret;
}

int setup_announce(struct mm *mm, Migrate__Vma **vmas, size_t nr, struct error *err)
{
	struct mirror_range *ranges;
	size_t nr_ranges;
	int ret;

	if (precheck_vmas(vmas, nr, &ranges, &nr_ranges, err))
		return -1;
	ret = mm_announce(mm, ranges, nr_ranges, err);
	free(ranges);
	return ret;
}

static void tell_refusals(const struct refusals *refusals)
{
	for (size_t i = 0; i < refusals->nr; i++)
		tell("refused", json_pack("{s:s}", "reason", refusals->text[i]),
		     "refused: %s", refusals->text[i]);
}

static int reply(struct setup *setup, struct refusals *refusals, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__SetupReply answer = MIGRATE__SETUP_REPLY__INIT;
	Migrate__Compression codecs[CODECS_SAID];

	answer.ok = !refusals->nr;
	answer.refusals = refusals->text;
	answer.n_refusals = refusals->nr;
	answer.fixed_cost_ns = cost_expect_ns(COST_RESTORE, setup->said->comm, setup->cost_model_ns);
	answer.has_fixed_cost_ns = true;
	answer.compressions = codecs;
	answer.n_compressions = codecs_say(setup->codecs, codecs);
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP_REPLY;
	msg.setup_reply = &answer;
	tell_refusals(refusals);
	if (control_send(setup->peer->ctl, &msg, err))
		return -1;
	return answer.ok ? 0 : error_set(err, CODE_REFUSED, NULL, "refused: %s",
					 refusals->text[0]);
}

/* Keep Setup without its lists, which may be long and are not needed any more. */
static int keep_small(struct setup *setup, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *kept;
	Migrate__Setup small = *setup->said;
	uint8_t packed[1024];

	small.n_vmas = small.n_files = small.n_cpu_flags = small.n_objects = 0;
	small.n_unix_servers = small.n_addresses = small.n_kept_addresses = 0;
	small.n_criu_options = small.n_mounts = small.n_tmpfs = small.n_compressions = 0;
	small.n_own_namespaces = small.n_uid_map = small.n_gid_map = 0;
	small.root = NULL;
	small.base.n_unknown_fields = 0;
	small.kernel = small.arch = small.mode = "";
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP;
	msg.setup = &small;
	if (migrate__control__get_packed_size(&msg) > sizeof(packed))
		return error_set(err, CODE_INTERNAL, NULL, "Setup is too long to keep");
	kept = migrate__control__unpack(NULL, migrate__control__pack(&msg, packed), packed);
	if (!kept)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for Setup");
	setup_destroy(setup);
	malloc_trim(0);
	setup->msg = kept;
	setup->said = kept->setup;
	return 0;
}

static void expect_cost(struct setup *setup)
{
	const Migrate__Setup *said = setup->said;
	uint64_t pages = (said->rss_bytes + precheck_image_bytes(said)) / PAGE_BYTES;
	struct shape shape = {
		.threads = said->threads,
		.mappings = said->has_mappings ? said->mappings : said->n_vmas,
		.descriptors = said->has_descriptors ? said->descriptors : 0,
	};
	struct speed speed;

	for (size_t i = 0; i < said->n_objects; i++)
		shape.processes += said->objects[i]->kind == MIGRATE__OBJECT_KIND__MM;
	if (said->has_image_pages)
		shape.image_pages = said->image_pages < pages ? said->image_pages : pages;
	speed_measure(&speed);
	setup->cost_model_ns = cost_model_ns(COST_RESTORE, &shape, &speed);
}

static int reply_needs(struct setup *setup, struct refusals *refusals, struct error *err)
{
	Migrate__NeedsReply answer = MIGRATE__NEEDS_REPLY__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;

	answer.refusals = refusals->text;
	answer.n_refusals = refusals->nr;
	msg.body_case = MIGRATE__CONTROL__BODY_NEEDS_REPLY;
	msg.needs_reply = &answer;
	tell_refusals(refusals);
	return control_send(setup->peer->ctl, &msg, err);
}

/* What Setup and Needs name together. */
static bool is_within_budget(struct setup *setup, const Migrate__Setup *said)
{
	setup->files += said->n_files;
	setup->servers += said->n_unix_servers;
	setup->addresses += said->n_addresses;
	return setup->files <= PRECHECK_MAX_FILES && setup->servers <= PRECHECK_MAX_SOCKETS &&
	       setup->addresses <= PRECHECK_MAX_SOCKETS;
}

static void check_needs(struct setup *setup, const Migrate__Setup *said, struct refusals *refusals)
{
	if (is_within_budget(setup, said))
		precheck_needs(said, refusals);
	else
		precheck_refuse(refusals, "the program has asked for %zu files, %zu servers and %zu addresses: at most %d files, and %d of each of the others, are looked for",
				setup->files, setup->servers, setup->addresses,
				PRECHECK_MAX_FILES, PRECHECK_MAX_SOCKETS);
}

int setup_take_needs(struct setup *setup, const Migrate__Needs *needs, struct error *err)
{
	Migrate__Setup said = MIGRATE__SETUP__INIT;
	struct refusals refusals = { .nr = 0 };
	int ret;

	if (setup->asked++ == NEEDS_ASKED_MAX)
		return error_set(err, CODE_PEER, NULL, "the source asked %d times for what processes need",
				 setup->asked);
	said.files = needs->files;
	said.n_files = needs->n_files;
	said.unix_servers = needs->unix_servers;
	said.n_unix_servers = needs->n_unix_servers;
	said.addresses = needs->addresses;
	said.n_addresses = needs->n_addresses;
	/* links are resolved in the root that Setup named */
	said.root = setup->mounts.nr_binds ? setup->mounts.binds[0].path : NULL;
	said.huge_pages = needs->huge_pages;
	said.n_huge_pages = needs->n_huge_pages;
	check_needs(setup, &said, &refusals);
	sender_check_needs(setup->rule, &said, &refusals);
	ret = reply_needs(setup, &refusals, err);
	precheck_free(&refusals);
	return ret;
}

/* Of memfd_create(). */
static unsigned int memfd_flags(const Migrate__Object *object)
{
	unsigned int flags = object->sealable ? MFD_ALLOW_SEALING : 0;

	if (object->huge_kib)
		flags |= MFD_HUGETLB | (unsigned int)__builtin_ctz(object->huge_kib << 10) <<
			 MFD_HUGE_SHIFT;
	return flags;
}

static int add_object(struct objects *objects, const Migrate__Object *object, struct error *err)
{
	struct mm *parent = object->has_parent ? objects_mm(objects, object->parent) : NULL, *mm;

	if (object->kind == MIGRATE__OBJECT_KIND__SHM && object->has_tmpfs)
		return objects_add_tmpfs(objects, object->id, object->tmpfs, err) ? 0 : -1;
	if (object->kind == MIGRATE__OBJECT_KIND__SHM && object->file)
		return objects_add_file(objects, object->id, object->name, err) ? 0 : -1;
	if (object->kind == MIGRATE__OBJECT_KIND__SHM)
		return objects_add_shm(objects, object->id, object->name, memfd_flags(object),
				       err) ? 0 : -1;
	if (object->has_parent && (!parent || parent->shm))
		return error_set(err, CODE_PEER, NULL,
				 "the source announced object %u as a child of object %u, which it did not announce",
				 object->id, object->parent);
	mm = objects_add_mm(objects, object->id, object->pid, err);
	if (!mm)
		return -1;
	mm->parent = parent;
	return 0;
}

int setup_add_objects(struct objects *objects, Migrate__Object **list, size_t nr,
		      struct error *err)
{
	for (size_t i = 0; i < nr; i++)
		if (precheck_object(list[i], err) || add_object(objects, list[i], err))
			return -1;
	return objects_are_held(objects, err);
}

/* The list of mappings in Setup belongs to the task that Setup names. */
static int make_objects(struct setup *setup, struct error *err)
{
	const Migrate__Setup *said = setup->said;

	if (setup_add_objects(setup->objects, said->objects, said->n_objects, err))
		return -1;
	return setup_announce(objects_mm_of(setup->objects, said->pid), said->vmas, said->n_vmas,
			      err);
}

static int take(struct setup *setup, struct refusals *refusals, struct error *err)
{
	const Migrate__Setup *said = setup->said;

	setup->codecs = codecs_take(said->compressions, said->n_compressions);
	is_within_budget(setup, said);
	precheck_setup(said, setup->criu, setup->images_base, refusals);
	kept_addresses_take(&setup->kept, said, setup->terms,
			    control_link_fd(setup->peer->ctl), refusals);
	mounts_take(&setup->mounts, said, refusals);
	setup->objects->tmpfs = setup->mounts.tmpfs;
	setup->objects->nr_tmpfs = setup->mounts.nr_tmpfs;
	namespaces_take(&setup->namespaces, said, refusals);
	sender_check_setup(setup->rule, &setup->mounts, &setup->namespaces, refusals);
	sender_check_needs(setup->rule, said, refusals);
	precheck_options(said, setup->config, &setup->granted, refusals);
	if (!refusals->nr &&
	    (make_objects(setup, err) ||
	     budget_announce(setup->budget, BUDGET_MIRROR, said->rss_bytes, err)))
		return -1;
	if (!refusals->nr)
		expect_cost(setup);
	if (keep_small(setup, err) || reply(setup, refusals, err))
		return -1;
	place_advance(setup->place, PLACE_SETUP);
	return 0;
}

int setup_take(struct setup *setup, struct error *err)
{
	struct refusals refusals = { .nr = 0 };
	const Migrate__Setup *said;
	int ret;

	setup->msg = mailbox_expect(&setup->peer->box, MIGRATE__CONTROL__BODY_SETUP,
				    left_ms(setup), err);
	if (!setup->msg)
		return -1;
	setup->said = said = setup->msg->setup;
	if (precheck_objects(said, err))
		return -1;
	peer_state(setup->peer, "SETUP");
	tell("setup", json_pack("{s:i,s:s,s:I}", "pid", said->pid, "comm", said->comm, "rss_bytes",
				(json_int_t)said->rss_bytes),
	     "%s (pid %d), %lu MiB", said->comm, said->pid, said->rss_bytes >> 20);
	ret = take(setup, &refusals, err);
	precheck_free(&refusals);
	return ret;
}
