// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of the source into the destination. Input: a byte of flags, then, with FLAG_RAW, the raw
 * stream; else chunks, a message each, to which the target adds the right lengths. Valid messages
 * that the flags name come first, so that the fuzzer reaches each phase.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dest/attributes.h"
#include "dest/images.h"
#include "dest/journal.h"
#include "dest/kept_addresses.h"
#include "dest/mm.h"
#include "dest/precheck.h"
#include "dest/probe.h"
#include "dest/verify.h"
#include "fuzz/common.h"
#include "fuzz/messages.h"
#include "os/unix_servers.h"
#include "tests/mm_hooks.h"
#include "tests/conn_fd.h"

#define FLAG_RAW	1
#define FLAG_BEHIND	14	/* how many steps of the course are behind; 3 bits */
#define FLAG_VERIFY	16	/* Ready waits for digests */

/* A process for each Setup would take most of the time: this one asks. */
long __wrap_probe_run(probe_fn ask, const void *ctx, bool *answers, size_t nr, int timeout_ms)
{
	for (size_t i = 0; i < nr; i++)
		answers[i] = ask(ctx, i);
	return nr;
}

void __wrap_unix_servers_read(struct unix_servers *servers)
{
	static struct unix_server list[] = {
		{ .name = "\0x", .name_bytes = 2, .type = SOCK_STREAM, .here = true },
		{ .name = "/run/x", .name_bytes = 6, .type = SOCK_DGRAM, .file_ino = 1 },
	};

	*servers = (struct unix_servers){ .list = list, .nr = 2 };
}

/** struct world - as much of a migration as messages act on */
struct world {
	struct control *ctl;
	struct budget budget;
	struct mm mm;
	struct images images;
	struct verify verify;
	struct attributes attributes;
	bool wants_digests;
};

static void world_open(struct world *world, int fd)
{
	static const uint8_t id[CONN_ID_BYTES] = "0123456789abcde";
	struct error err = { 0 };

	*world = (struct world){ .ctl = NULL };
	budget_init(&world->budget, NULL, NULL);
	fuzz_assert(!mm_init(&world->mm, &no_mm_hooks, &err));
	fuzz_assert(!images_make(&world->images, fuzz_dir_path(), id, &err));
	world->mm.mirror.budget = &world->budget;
	world->images.budget = &world->budget;
	world->verify.budget = &world->budget;
	world->ctl = control_new(CONN(fd), COURSE_DEST, &err);
	fuzz_assert(world->ctl);
	messages_send(world->ctl, MIGRATE__CONTROL__BODY_HELLO);
}

static void world_close(struct world *world)
{
	control_close(world->ctl);
	mm_destroy(&world->mm);
	images_close(&world->images);
	owned_dir_remove(&world->images.dir);
	owned_dir_close(&world->images.dir);
	verify_free(&world->verify);
	attributes_free(&world->attributes);
	pthread_mutex_destroy(&world->budget.lock);
}

static int announce(struct world *world, Migrate__Vma **vmas, size_t nr, struct error *err)
{
	struct mirror_range *ranges;
	size_t nr_ranges;
	int ret;

	if (precheck_vmas(vmas, nr, &ranges, &nr_ranges, err))
		return -1;
	for (size_t i = 0; i < nr_ranges; i++) {
		fuzz_assert(ranges[i].start < ranges[i].end && ranges[i].end <= USER_END);
		fuzz_assert(!i || ranges[i - 1].end <= ranges[i].start);
	}
	ret = mm_announce(&world->mm, ranges, nr_ranges, err);
	free(ranges);
	return ret;
}

static int take_setup(struct world *world, const Migrate__Setup *setup, struct error *err)
{
	const struct criu_version criu = { .major = 3, .minor = 17, .sublevel = 1 };
	struct refusals refusals = { .nr = 0 };
	static struct criu_config here, granted;
	const struct address_terms terms = { .interface = "lo" };
	struct kept_addresses kept;

	here.nr = 0;
	fuzz_assert(!criu_config_add(&here, "external mnt[data]:/srv", CRIU_END_RESTORE, err));
	if (precheck_objects(setup, err))
		return -1;
	precheck_setup(setup, &criu, fuzz_dir_path(), &refusals);
	kept_addresses_take(&kept, setup, &terms, -1, &refusals);
	precheck_options(setup, &here, &granted, &refusals);
	fuzz_assert(granted.nr <= CRIU_OPTIONS_MAX);
	for (size_t i = 0; i < granted.nr; i++)
		fuzz_assert(!strpbrk(granted.options[i].text, "\n\"\\"));
	fuzz_assert(kept.list.nr <= NET_ADDRESSES_MAX);
	for (size_t i = 0; i < refusals.nr; i++)
		messages_assert_printable(refusals.text[i]);
	precheck_free(&refusals);
	/* also what was refused, so that its mappings are looked at */
	if (announce(world, setup->vmas, setup->n_vmas, err) ||
	    budget_announce(&world->budget, BUDGET_MIRROR, setup->rss_bytes, err))
		return -1;
	messages_send(world->ctl, MIGRATE__CONTROL__BODY_SETUP_REPLY);
	return 0;
}

static int take_needs(struct world *world, const Migrate__Needs *needs)
{
	Migrate__Setup said = MIGRATE__SETUP__INIT;
	struct refusals refusals = { .nr = 0 };

	said.files = needs->files;
	said.n_files = needs->n_files;
	said.unix_servers = needs->unix_servers;
	said.n_unix_servers = needs->n_unix_servers;
	said.addresses = needs->addresses;
	said.n_addresses = needs->n_addresses;
	said.huge_pages = needs->huge_pages;
	said.n_huge_pages = needs->n_huge_pages;
	precheck_needs(&said, &refusals);
	for (size_t i = 0; i < refusals.nr; i++)
		messages_assert_printable(refusals.text[i]);
	precheck_free(&refusals);
	messages_send(world->ctl, MIGRATE__CONTROL__BODY_NEEDS_REPLY);
	return 0;
}

static int take_announce(struct world *world, const Migrate__Announce *announce,
			 struct error *err)
{
	return budget_announce(&world->budget, BUDGET_MIRROR, announce->memory_bytes, err) ||
	       budget_announce(&world->budget, BUDGET_IMAGES, announce->image_bytes, err) ? -1 : 0;
}

/* What a thread would be given that has nothing of it. */
static int plan(const struct world *world, struct error *err)
{
	const Migrate__Process *wanted = world->attributes.wanted;
	const struct thread_attributes thread = { .tid = 1, .ns_tid = 1 };
	struct inside inside = { .nr = 0 };
	char text[CPUS_TEXT_BYTES];
	int ret = 0;

	for (size_t i = 0; i < wanted->n_threads && !ret; i++) {
		const Migrate__ThreadAttributes *one = wanted->threads[i];
		struct cpus cpus = { .bits = { 0 } };

		fuzz_assert(one->tid > 0 && one->cpus.len <= CPUS_BYTES);
		/* a thread that may run nowhere */
		fuzz_assert(!one->has_cpus || one->cpus.len);
		for (size_t at = 0; at < one->cpus.len; at++)
			cpus.bits[at] = one->cpus.data[at];
		cpus_print(&cpus, text, sizeof(text));
		fuzz_assert(cpus_bytes(&cpus) <= one->cpus.len);
		ret = inside_plan_thread(&inside, &thread, one, err);
	}
	inside_free(&inside);
	return ret;
}

/* No descriptor of this process is a stream of the journal: none may be written to. */
static void begin_streams(const Migrate__Process *said)
{
	struct error err = { 0 };
	int ret = journal_streams_begin(said, getpid(), &err);

	fuzz_assert(!said->n_journal_streams || ret);
	fuzz_error_fits(ret, &err);
}

static int take_go(struct world *world, const Migrate__RestoreGo *go, struct error *err)
{
	for (size_t i = 0; i < go->n_processes; i++) {
		if (attributes_take(&world->attributes, go->processes[i], err) || plan(world, err))
			return -1;
		begin_streams(world->attributes.wanted);
	}
	messages_send(world->ctl, world->wants_digests ? MIGRATE__CONTROL__BODY_FETCH_ALL :
		      MIGRATE__CONTROL__BODY_READY);
	return 0;
}

static int take_digests(struct world *world, const Migrate__Digests *digests, struct error *err)
{
	if (verify_add(&world->verify, digests, err))
		return -1;
	fuzz_assert(world->verify.nr <= world->verify.cap);
	if (world->verify.complete)
		messages_send(world->ctl, MIGRATE__CONTROL__BODY_READY);
	return 0;
}

static int take(struct world *world, const Migrate__Control *msg, struct error *err)
{
	switch (msg->body_case) {
	case MIGRATE__CONTROL__BODY_HELLO:
		messages_assert_printable(msg->hello->hostname);
		messages_assert_printable(msg->hello->software);
		return 0;
	case MIGRATE__CONTROL__BODY_SETUP:
		return take_setup(world, msg->setup, err);
	case MIGRATE__CONTROL__BODY_MAPS:
		return announce(world, msg->maps->vmas, msg->maps->n_vmas, err);
	case MIGRATE__CONTROL__BODY_NEEDS:
		return take_needs(world, msg->needs);
	case MIGRATE__CONTROL__BODY_ANNOUNCE:
		return take_announce(world, msg->announce, err);
	case MIGRATE__CONTROL__BODY_IMAGE_FILE:
		return images_take(&world->images, msg->image_file, err);
	case MIGRATE__CONTROL__BODY_RESTORE_GO:
		return take_go(world, msg->restore_go, err);
	case MIGRATE__CONTROL__BODY_DIGESTS:
		return take_digests(world, msg->digests, err);
	case MIGRATE__CONTROL__BODY_COMMIT:
		messages_send(world->ctl, MIGRATE__CONTROL__BODY_STARTED);
		messages_send(world->ctl, MIGRATE__CONTROL__BODY_DONE);
		return 0;
	default:
		return 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t flags = fuzz_byte(&in);
	struct error err = { 0 };
	Migrate__Control *msg;
	struct fuzz_pipe pipe;
	struct world world;
	int fds, ret = 0;

	/* the descriptor of the directory stays */
	fuzz_dir();
	fds = fuzz_fds();
	pipe = fuzz_pipe_open();
	messages_put_course(&pipe, COURSE_SOURCE, (flags & FLAG_BEHIND) / 2);
	messages_put_input(&pipe, &in, flags & FLAG_RAW);
	world_open(&world, pipe.fd);
	world.wants_digests = flags & FLAG_VERIFY;
	while (!ret && (msg = control_recv(world.ctl, -1, &err))) {
		ret = take(&world, msg, &err);
		fuzz_error_fits(ret, &err);
		migrate__control__free_unpacked(msg, NULL);
	}
	/* a stream ends, and that has to be told */
	fuzz_assert(error_is_set(&err));
	world_close(&world);
	fuzz_pipe_end(&pipe);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
