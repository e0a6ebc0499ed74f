// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <sys/timerfd.h>
#include <time.h>
#include "criu/image.h"
#include "criu/repairs.h"
#include "images.pb-c.h"

/*
 * The kernel does not run a periodic timer on between an expiry and the read that takes the
 * ticks, and shows 0 as its value. timerfd_settime() with that value disarms the timer.
 */
static bool timerfd_arm(Img__TimerfdEntry *timer)
{
	bool periodic = timer->interval_sec || timer->interval_nsec;

	if (!periodic || timer->value_sec || timer->value_nsec || !timer->ticks)
		return false;
	timer->value_sec = timer->interval_sec;
	timer->value_nsec = timer->interval_nsec;
	return true;
}

/*
 * The image has the time that is left. For an absolute timer CRIU adds to it the seconds of
 * the clock, not the nanoseconds. A relative timer needs no such sum; but an absolute one on
 * CLOCK_REALTIME follows the clock when it is set, so it stays one, and is rather late.
 */
static bool timerfd_delay(Img__TimerfdEntry *timer)
{
	if (!(timer->settime_flags & TFD_TIMER_ABSTIME) ||
	    (!timer->value_sec && !timer->value_nsec))
		return false;
	if (timer->clockid == CLOCK_MONOTONIC || timer->clockid == CLOCK_BOOTTIME)
		timer->settime_flags &= ~TFD_TIMER_ABSTIME;
	else
		timer->value_sec++;
	return true;
}

static void timerfd_repair(Img__TimerfdEntry *timer, struct criu_timerfds *done)
{
	if (timerfd_arm(timer))
		done->armed++;
	if (timerfd_delay(timer))
		done->absolute++;
}

int criu_timerfds_repair(int images_dir_fd, struct criu_timerfds *done, struct error *err)
{
	static const char name[] = "files.img";
	struct image_out out;
	ProtobufCMessage *msg;
	struct image image;
	int ret;

	*done = (struct criu_timerfds){ 0 };
	if (image_open(&image, images_dir_fd, name, IMAGE_FILES, err))
		return -1;
	image_out_init(&out, IMAGE_FILES);
	while ((ret = image_next(&image, &img__file_entry__descriptor, &msg, err)) > 0) {
		Img__FileEntry *file = (Img__FileEntry *)msg;

		if (file->timerfd)
			timerfd_repair(file->timerfd, done);
		image_out_add(&out, msg);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	if (!ret && (done->armed || done->absolute))
		ret = image_out_store(&out, images_dir_fd, name, err);
	image_out_free(&out);
	image_close(&image);
	return ret;
}
