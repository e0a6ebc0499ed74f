// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of the destination into the source. Input: as of fuzz_control, without FLAG_ROUNDS.
 */
#include "fuzz/common.h"
#include "fuzz/messages.h"
#include "session/counts.h"
#include "session/fault_times.h"
#include "session/frozen_time.h"
#include "session/lost.h"
#include "source/attributes.h"
#include "source/loss.h"
#include "tests/conn_fd.h"

#define FLAG_RAW	1
#define FLAG_BEHIND	14	/* how many steps of the course are behind; 3 bits */
#define FLAG_ROUNDS	16	/* the program is frozen only when a round was acknowledged */

/** struct world - as much of a migration as messages act on */
struct world {
	struct control *ctl;
	struct losses losses;
	struct counts counts;
	struct fault_times fault_times;
	uint8_t flags;
	bool frozen;
};

static void freeze(struct world *world)
{
	if (world->frozen)
		return;
	world->frozen = true;
	messages_send(world->ctl, MIGRATE__CONTROL__BODY_FROZEN);
	messages_send(world->ctl, MIGRATE__CONTROL__BODY_RESTORE_GO);
}

static int take_reply(struct world *world, const Migrate__SetupReply *reply)
{
	for (size_t i = 0; i < reply->n_refusals; i++)
		messages_assert_printable(reply->refusals[i]);
	if (!(world->flags & FLAG_ROUNDS))
		freeze(world);
	return 0;
}

static int take_attributes(struct world *world, const Migrate__Attributes *answer,
			   struct error *err)
{
	json_t *list;

	for (size_t i = 0; i < answer->n_attributes; i++)
		messages_assert_printable(answer->attributes[i]->detail);
	source_attributes_take_answer(answer, &world->losses);
	list = losses_json(&world->losses);
	fuzz_assert(list);
	json_decref(list);
	losses_print(&world->losses);
	return losses_refused(&world->losses, err);
}

static void take_parts(const Migrate__Ready *ready)
{
	struct frozen_time time = { 0 };

	frozen_time_take(&time, ready->frozen, ready->n_frozen);
	/* of this side's parts the other side knows nothing */
	fuzz_assert(!frozen_time_sum(&time, FROZEN_SOURCE));
}

static void take_lost(Migrate__Lost *const *list, size_t nr)
{
	struct error err = { 0 }, told = { 0 };
	struct lost lost = { 0 };

	fuzz_assert(!lost_take(&lost, list, nr, &err) && lost.nr == nr);
	json_decref(lost_json(&lost));
	lost_error(&lost, false, &told);
	fuzz_assert(error_is_set(&told) == (nr > 0));
	lost_free(&lost);
}

static int take(struct world *world, const Migrate__Control *msg, struct error *err)
{
	switch (msg->body_case) {
	case MIGRATE__CONTROL__BODY_HELLO:
		messages_assert_printable(msg->hello->hostname);
		messages_assert_printable(msg->hello->software);
		messages_send(world->ctl, MIGRATE__CONTROL__BODY_SETUP);
		return 0;
	case MIGRATE__CONTROL__BODY_SETUP_REPLY:
		return take_reply(world, msg->setup_reply);
	case MIGRATE__CONTROL__BODY_ROUND_ACK:
		freeze(world);
		return 0;
	case MIGRATE__CONTROL__BODY_ATTRIBUTES:
		return take_attributes(world, msg->attributes, err);
	case MIGRATE__CONTROL__BODY_READY:
		take_parts(msg->ready);
		messages_send(world->ctl, MIGRATE__CONTROL__BODY_COMMIT);
		return 0;
	case MIGRATE__CONTROL__BODY_DONE:
		counts_from_done(&world->counts, msg->done);
		fault_times_take(&world->fault_times, msg->done->fault_times);
		take_lost(msg->done->lost, msg->done->n_lost);
		messages_send(world->ctl, MIGRATE__CONTROL__BODY_KILLED);
		return 0;
	case MIGRATE__CONTROL__BODY_DIED:
		take_lost(msg->died->lost, msg->died->n_lost);
		return 0;
	default:
		return 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct world world = { .flags = fuzz_byte(&in) };
	int fds = fuzz_fds(), ret = 0;
	struct fuzz_pipe pipe = fuzz_pipe_open();
	struct error err = { 0 };
	Migrate__Control *msg;

	messages_put_course(&pipe, COURSE_DEST, (world.flags & FLAG_BEHIND) / 2);
	messages_put_input(&pipe, &in, world.flags & FLAG_RAW);
	world.ctl = control_new(CONN(pipe.fd), COURSE_SOURCE, &err);
	fuzz_assert(world.ctl);
	messages_send(world.ctl, MIGRATE__CONTROL__BODY_HELLO);
	while (!ret && (msg = control_recv(world.ctl, -1, &err))) {
		ret = take(&world, msg, &err);
		fuzz_error_fits(ret, &err);
		migrate__control__free_unpacked(msg, NULL);
	}
	/* a stream ends, and that has to be told */
	fuzz_assert(error_is_set(&err));
	control_close(world.ctl);
	losses_free(&world.losses);
	fuzz_pipe_end(&pipe);
	fuzz_assert(fuzz_fds() == fds);
	return 0;
}
