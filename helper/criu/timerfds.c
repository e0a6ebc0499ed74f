// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include "criu/image.h"
#include "criu/repairs.h"
#include "images.pb-c.h"

/*
 * Between an expiry and the read of its ticks the kernel stops a periodic timer, and shows the
 * value 0. timerfd_settime() with the value 0 disarms the timer.
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
 * The image has the time that is left. For an absolute timer CRIU adds the clock's seconds, but not
 * its nanoseconds. A relative timer needs no such sum. An absolute timer on CLOCK_REALTIME follows
 * a change of the clock, so such a timer stays absolute, and expires late rather than early.
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

static bool file_repair(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__FileEntry *file = (const Img__FileEntry *)msg;
	struct criu_timerfds *done = ctx, before = *done;

	if (!file)
		return false;
	if (file->timerfd)
		timerfd_repair(file->timerfd, done);
	image_out_add(out, msg);
	return memcmp(&before, done, sizeof(before));
}

int criu_timerfds_repair(int images_dir_fd, struct criu_timerfds *done, struct error *err)
{
	*done = (struct criu_timerfds){ 0 };
	return image_edit(images_dir_fd, "files.img", IMAGE_FILES, &img__file_entry__descriptor,
			  file_repair, done, err);
}
