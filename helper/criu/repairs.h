/* SPDX-License-Identifier: GPL-2.0 */
/* Repairs of CRIU's images at the source, for state that CRIU's dump or restore would lose. */
#ifndef MIGRATE_CRIU_REPAIRS_H
#define MIGRATE_CRIU_REPAIRS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "criu/criu.h"

/**
 * struct criu_timerfds - numbers of timers that criu_timerfds_repair() changed
 * @armed: periodic timers with an unread expiry, which CRIU would disarm
 * @absolute: absolute timers, which would expire up to a second early
 */
struct criu_timerfds {
	unsigned int armed, absolute;
};

/** criu_timerfds_repair() - repair the timerfds in files.img */
int criu_timerfds_repair(int images_dir_fd, struct criu_timerfds *done, struct error *err);

/** criu_followers_part() - in images of mounts: each mount that follows a group outside follows one of its own */
int criu_followers_part(int images_dir_fd, struct error *err);

/**
 * struct criu_rename - a file that the dump left out; both strings are from malloc()
 * @external: its name for CRIU's option `external`: "file[MOUNT:INO]", in hexadecimal digits
 * @path: by which the restore is to open it
 */
struct criu_rename {
	char *external, *path;
};

void criu_rename_free(struct criu_rename *rename);

/** typedef criu_socket_fn - was the connection of the TCP socket with inode @ino reset? */
typedef bool (*criu_socket_fn)(void *ctx, uint32_t ino);

/**
 * struct criu_files - what criu_files_repair() does, and did
 * @replace_tty: file in place of terminals that the dump left out; NULL: there are none
 * @renames: @nr_renames files to be opened by another name
 * @was_reset: asked with @ctx for each closed TCP socket that has an address; NULL: none was. CRIU
 *	would bind such a socket to the address, which the destination need not have
 * @sizes: files that are only written to: CRIU would want them to be as long as they are here
 * @terminals: open terminals that became @replace_tty, or /dev/null where they are only read
 * @renamed: files that have another name now
 * @unbound: sockets that have no address any more
 */
struct criu_files {
	const char *replace_tty;
	const struct criu_rename *renames;
	size_t nr_renames;
	criu_socket_fn was_reset;
	void *ctx;
	unsigned int sizes, terminals, renamed, unbound;
};

/** criu_files_repair() - repair files.img, and the images that refer to its records */
int criu_files_repair(int images_dir_fd, struct criu_files *files, struct error *err);

/** criu_has_ptys() - 1: the program has both ends of a pty; 0: it does not; -1 with @err */
int criu_has_ptys(int images_dir_fd, struct error *err);

/** criu_session_repair() - make the root of the tree leader of a new session and process group */
int criu_session_repair(int images_dir_fd, struct error *err);

/**
 * enum criu_timeout - time-out of a wait that starts again
 * @TIMEOUT_NONE: none, or an absolute time-out, or the kernel has stored the time that is left
 * @TIMEOUT_WHOLE: the wait starts again with its whole time-out
 * @TIMEOUT_UNKNOWN: the same, with a time-out of the socket, which the call does not show
 */
enum criu_timeout { TIMEOUT_NONE, TIMEOUT_WHOLE, TIMEOUT_UNKNOWN };

/**
 * struct criu_wait - a thread that waited in a system call when CRIU stopped it
 * @nr: number of the system call
 * @call: name of the system call; NULL: not in the table of waits.c
 * @restarted: the call starts again; otherwise it returns EINTR
 * @timeout_ns: the time-out, with TIMEOUT_WHOLE
 */
struct criu_wait {
	pid_t tid;
	long nr;
	const char *call;
	bool restarted;
	enum criu_timeout timeout;
	uint64_t timeout_ns;
};

typedef void (*criu_wait_fn)(void *ctx, const struct criu_wait *wait);

/**
 * criu_cores_repair() - repair each thread: a system call starts again that would return EINTR, and
 *	the default replaces a scheduling policy that CRIU would refuse to restore
 * @mem_fd: /proc/PID/mem of the frozen task
 * @fn: called for each thread with such a call
 *
 * The function leaves a call as it is when an unblocked signal is pending: the signal's handler
 * would have ended the call.
 */
int criu_cores_repair(int images_dir_fd, const struct criu_task *task, int mem_fd,
		      criu_wait_fn fn, void *ctx, struct error *err);

#endif
