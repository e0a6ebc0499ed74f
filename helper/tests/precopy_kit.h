/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that rounds of pre-copy need, with the destination of fake_dest.h. The test adds processes to
 * @tree. Included by one test, after cmocka.h.
 */
#ifndef MIGRATE_TESTS_PRECOPY_KIT_H
#define MIGRATE_TESTS_PRECOPY_KIT_H

#include <pthread.h>
#include "source/precopy.h"
#include "tests/fake_dest.h"

/** struct precopy_kit - see the top of this file. @receiver: takes what the destination says */
struct precopy_kit {
	struct tree tree;
	struct source_shms shms;
	struct conn conn;
	struct sender sender;
	struct mailbox box;
	struct figures figures;
	struct precopy pre;
	pthread_t receiver;
	struct fake_dest dest;
	struct error err;
};

static void *precopy_kit_receive(void *arg)
{
	struct precopy_kit *kit = arg;
	struct error err = { 0 };

	mailbox_receive(&kit->box, kit->dest.source, &err);
	mailbox_hang_up(&kit->box);
	return NULL;
}

/* @tree has its processes, @nr_objects. Rounds end when all is clean, or after @max_rounds. */
static int precopy_kit_open(struct precopy_kit *kit, uint32_t nr_objects, unsigned int max_rounds)
{
	if (fake_dest_open(&kit->dest, PHASE_PRECOPY, nr_objects, &kit->conn, &kit->err))
		return -1;
	mailbox_init(&kit->box, "the destination");
	kit->pre = (struct precopy){
		.tree = &kit->tree, .shms = &kit->shms, .sender = &kit->sender,
		.ctl = kit->dest.source, .box = &kit->box, .figures = &kit->figures,
		.mode = MODE_AUTO,
		/* only what is clean fits */
		.rule = { .max_rounds = max_rounds, .max_downtime_ns = 1 },
	};
	return sender_init(&kit->sender, &kit->conn, true, &kit->err) ||
	       pthread_create(&kit->receiver, NULL, precopy_kit_receive, kit) ? -1 : 0;
}

static void precopy_kit_run(struct precopy_kit *kit)
{
	assert_int_equal(precopy_run(&kit->pre, &kit->err), 0);
	fake_dest_end(&kit->dest, &kit->conn);
}

static void precopy_kit_close(struct precopy_kit *kit)
{
	mailbox_close(&kit->box);
	fake_dest_end(&kit->dest, &kit->conn);
	pthread_join(kit->receiver, NULL);
	fake_dest_close(&kit->dest);
	sender_destroy(&kit->sender);
	shms_destroy(&kit->shms);
	tree_destroy(&kit->tree);
	figures_free(&kit->figures);
	mailbox_destroy(&kit->box);
}

#endif
