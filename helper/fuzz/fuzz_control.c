// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of the source, and what the destination does with them up to the restore. Input: a
 * byte, then, when its lowest bit is set, the stream as it is; else chunks, a message each, to
 * which the right lengths are given.
 */
#include <endian.h>
#include <unistd.h>
#include "dest/images.h"
#include "dest/memory.h"
#include "dest/precheck.h"
#include "dest/verify.h"
#include "fuzz/common.h"
#include "wire/control.h"

#define MESSAGES	32	/* most messages of an input */

/** struct world - as much of a migration as messages act on */
struct world {
	struct control *ctl;
	struct memory mem;
	struct images images;
	struct verify verify;
};

static int feed(struct fuzz_input *in)
{
	struct fuzz_pipe pipe = fuzz_pipe_open();

	if (fuzz_byte(in) & 1)
		fuzz_pipe_put(&pipe, in->data, in->size);
	else
		for (int i = 0; i < MESSAGES && in->size; i++) {
			struct fuzz_input msg = fuzz_chunk(in);
			uint32_t length = htole32(msg.size);

			fuzz_pipe_put(&pipe, &length, sizeof(length));
			fuzz_pipe_put(&pipe, msg.data, msg.size);
		}
	fuzz_pipe_end(&pipe);
	return pipe.fd;
}

static void world_open(struct world *world, int fd)
{
	static const uint8_t id[CONN_ID_BYTES] = "0123456789abcde";
	struct error err = { 0 };

	*world = (struct world){ .ctl = NULL };
	fuzz_assert(!memory_init(&world->mem, &fuzz_memory_hooks, &err));
	fuzz_assert(!images_plan(&world->images, fuzz_dir_path(), id, &err));
	fuzz_assert(!images_make(&world->images, &err));
	world->ctl = control_new(fd, &err);
	fuzz_assert(world->ctl);
}

static void world_close(struct world *world)
{
	control_close(world->ctl);
	memory_destroy(&world->mem);
	images_close(&world->images);
	verify_free(&world->verify);
	fuzz_dir_empty(fuzz_dir());
}

static int announce(struct world *world, Migrate__Vma **vmas, size_t nr, struct error *err)
{
	struct store_range *ranges;
	size_t nr_ranges;
	int ret;

	if (precheck_vmas(vmas, nr, &ranges, &nr_ranges, err))
		return -1;
	for (size_t i = 0; i < nr_ranges; i++) {
		fuzz_assert(ranges[i].start < ranges[i].end && ranges[i].end <= USER_END);
		fuzz_assert(!i || ranges[i - 1].end <= ranges[i].start);
	}
	ret = memory_announce(&world->mem, ranges, nr_ranges, err);
	free(ranges);
	return ret;
}

static int take_setup(struct world *world, const Migrate__Setup *setup, struct error *err)
{
	const struct criu_version criu = { .major = 3, .minor = 17, .sublevel = 1 };
	struct refusals refusals = { .nr = 0 };

	precheck_setup(setup, &criu, fuzz_dir_path(), &refusals);
	for (size_t i = 0; i < refusals.nr; i++)
		fuzz_assert(refusals.text[i] && *refusals.text[i]);
	precheck_free(&refusals);
	/* also what was refused, so that its mappings are looked at */
	return announce(world, setup->vmas, setup->n_vmas, err);
}

static int take(struct world *world, const Migrate__Control *msg, struct error *err)
{
	switch (msg->body_case) {
	case MIGRATE__CONTROL__BODY_SETUP:
		return take_setup(world, msg->setup, err);
	case MIGRATE__CONTROL__BODY_MAPS:
		return announce(world, msg->maps->vmas, msg->maps->n_vmas, err);
	case MIGRATE__CONTROL__BODY_IMAGE_FILE:
		return images_take(&world->images, msg->image_file, err);
	case MIGRATE__CONTROL__BODY_DIGESTS:
		return verify_add(&world->verify, msg->digests, err);
	default:
		return 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	int lowest, ret = 0;
	Migrate__Control *msg;
	struct error err = { 0 };
	struct world world;

	/* the descriptor of the directory stays */
	fuzz_dir();
	lowest = fuzz_lowest_fd();
	world_open(&world, feed(&in));
	while (!ret && (msg = control_recv(world.ctl, -1, &err))) {
		ret = take(&world, msg, &err);
		fuzz_error_fits(ret, &err);
		migrate__control__free_unpacked(msg, NULL);
	}
	/* a stream ends, and that has to be told */
	fuzz_assert(error_is_set(&err));
	world_close(&world);
	fuzz_assert(fuzz_lowest_fd() == lowest);
	return 0;
}
