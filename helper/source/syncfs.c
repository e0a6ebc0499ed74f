// SPDX-License-Identifier: GPL-2.0
#include "base/clock.h"
#include "base/report.h"
#include "source/syncfs.h"

#define ASK_MS	5000	/* for a manager that does not read */
#define LOOK_MS	20	/* how often a wait looks for a failure */

int syncfs_ask(struct syncfs *sync, struct error *err)
{
	if (!syncfs_is_on(sync))
		return 0;
	sync->begin_ns = clock_now_ns();
	sync->asked = true;
	if (!syncfs_is_managed(sync))
		return fs_driver_start(&sync->driver, err);
	if (msgfd_check_quiet(&sync->msgfd, err) ||
	    msgfd_send(&sync->msgfd, PHAUL_TYPE__SYNCFS, NULL, ASK_MS, err))
		return -1;
	return 0;
}

static void note_done(struct syncfs *sync, uint64_t bytes)
{
	sync->bytes = bytes;
	sync->ns = clock_now_ns() - sync->begin_ns;
	sync->all_bytes += bytes;
	sync->nr++;
	if (sync->frozen)
		sync->frozen_ns += sync->ns;
	report_event("synced", json_pack("{s:I,s:I,s:b}", "bytes", (json_int_t)bytes,
					 "ns", (json_int_t)sync->ns, "frozen", sync->frozen));
}

static int wait_driver(struct syncfs *sync, struct error *err)
{
	uint64_t bytes = 0;
	int got = 0;

	while (!got) {
		if (mailbox_failed(sync->box, err)) {
			fs_driver_kill(&sync->driver);
			return -1;
		}
		got = fs_driver_wait(&sync->driver, LOOK_MS, &bytes, err);
		if (!got)
			report_progress("files move");
	}
	if (got < 0)
		return -1;
	note_done(sync, bytes);
	return 0;
}

static int take_answer(struct syncfs *sync, const struct msgfd_message *msg, struct error *err)
{
	switch (msg->type) {
	case PHAUL_TYPE__SUCCESS:
		note_done(sync, msg->bytes);
		return 0;
	case PHAUL_TYPE__UNSUP:
		sync->off = true;
		if (sync->driver.command)
			return fs_driver_start(&sync->driver, err) || wait_driver(sync, err) ? -1 : 0;
		if (!sync->shared)
			return error_set(err, CODE_REFUSED,
					 "name storage that both machines share by --shared-storage, or give it an --fs-driver",
					 "the manager does not move files%s%.300s", *msg->text ? ": " : "", msg->text);
		report_say("the manager does not move files: the program's are on shared storage");
		return 0;
	case PHAUL_TYPE__ERROR:
		return error_set(err, CODE_ABORTED, NULL, "the manager could not move the files%s%.300s",
				 *msg->text ? ": " : "", msg->text);
	default:
		return error_set(err, CODE_ABORTED, "an answer is SUCCESS, UNSUP or ERROR",
				 "the manager answered SYNCFS with SYNCFS");
	}
}

int syncfs_wait(struct syncfs *sync, struct error *err)
{
	struct msgfd_message msg;
	int got = 0;

	if (!sync || !sync->asked)
		return 0;
	if (!syncfs_is_managed(sync)) {
		sync->asked = false;
		return wait_driver(sync, err);
	}
	while (!got) {
		if (mailbox_failed(sync->box, err))
			return -1;
		got = msgfd_recv(&sync->msgfd, LOOK_MS, &msg, err);
		if (!got)
			report_progress("the manager moves files");
	}
	sync->asked = false;
	return got < 0 ? -1 : take_answer(sync, &msg, err);
}
