/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether a program is gone after CRIU's action script was told that all images arrived.
 *
 * The yes allows CRIU to kill the program, and does not do it: CRIU can be killed itself (out of memory, SIGKILL) before
 * that. Then the program goes on, and a restore would make a second one. So the cache serves no image before the
 * proxy knows which of both happened:
 *
 *   - The root of the program has ended: there is no program here. CRIU kills the root first. What is left of its
 *     children when CRIU dies in between is no program any more.
 *   - With --leave-running of the proxy: CRIU has written its stats-dump. What still runs was to be left running. The
 *     file alone does not tell that: CRIU 3.17.1 writes it also when another action script said no after ours.
 *   - CRIU has ended, and none of both: the program goes on here, and the images are void. All that CRIU did it did before
 *     its own end, so that a root without SIGKILL is not killed any more. A root that has SIGKILL, or no memory any more,
 *     is on its way out: a large one takes its time.
 *
 * Without a pidfd of the root none of that can be told, and the script gets a no. A proxy that ends in between says
 * nothing, and the dump is in doubt for the cache.
 */
#ifndef MIGRATE_SERVICES_IMAGE_FATE_H
#define MIGRATE_SERVICES_IMAGE_FATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/error.h"

/** enum image_fate_is - @FATE_UNKNOWN: the program may be here or not */
enum image_fate_is { FATE_UNKNOWN, FATE_GONE, FATE_STAYS };

/**
 * struct image_fate - what the proxy watches
 * @root_fd: pidfd of the program's root
 * @criu_fd: pidfd of CRIU; -1: not known
 * @dir_fd: CRIU's working directory; -1: not known, or stats-dump does not count
 * @stats: stats-dump as it was before; all 0: there was none
 * @since_ms: when CRIU's end was seen; 0: not yet
 */
struct image_fate {
	int root_fd, criu_fd, dir_fd;
	struct stat stats;
	int64_t since_ms;
};

#define IMAGE_FATE_NONE ((struct image_fate){ .root_fd = -1, .criu_fd = -1, .dir_fd = -1 })

/** image_fate_tracer() - the pid of CRIU, which traces the program up to its end; 0: not known */
pid_t image_fate_tracer(int root_fd);

/** image_fate_no_root() - why a script without a pidfd of the root gets a no. Return: -1 with @err */
int image_fate_no_root(struct error *err);

/** image_fate_no_tracer() - why it gets one when image_fate_tracer() does not know CRIU. Return: -1 with @err */
int image_fate_no_tracer(struct error *err);

/** image_fate_watch() - begin, before the yes. @root_fd: owned from now on. @leave_running: stats-dump counts */
void image_fate_watch(struct image_fate *fate, pid_t criu, int root_fd, bool leave_running);

/** image_fate_look() - look now. @hung_up: CRIU has said all, which counts as its end where a pidfd is not known */
enum image_fate_is image_fate_look(struct image_fate *fate, bool hung_up);

/** image_fate_wait() - wait, after CRIU has hung up. Return: FATE_UNKNOWN when @stop ends it */
enum image_fate_is image_fate_wait(struct image_fate *fate, const atomic_bool *stop);

/** image_fate_criu_ended() - CRIU is known to have ended */
bool image_fate_criu_ended(const struct image_fate *fate);

/** image_fate_error() - what FATE_STAYS is. Return: -1 with @err */
int image_fate_error(struct error *err);

/** image_fate_close() - may be called twice */
void image_fate_close(struct image_fate *fate);

#endif
