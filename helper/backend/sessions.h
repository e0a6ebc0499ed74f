/* SPDX-License-Identifier: GPL-2.0 */
/* Sessions of the module, read by netlink; see linux/splice_vm_netlink.h. */
#ifndef MIGRATE_BACKEND_SESSIONS_H
#define MIGRATE_BACKEND_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/splice_vm.h>
#include <linux/splice_vm_netlink.h>
#include "base/error.h"

struct nl_sock;
struct nlmsghdr;

/**
 * struct session - content of one message
 * @cmd: enum splice_vm_cmd
 * @attached: @pid and @max_inflight are valid
 * @gone: the process has exited or called exec; otherwise, when attached, @mm_pages and
 *	@mm_resident are valid
 *
 * The other fields are attributes of linux/splice_vm_netlink.h.
 */
struct session {
	int cmd;
	bool attached, gone;
	uint64_t id, mm_pages, mm_resident, epochs, pages_sent, pages_copied, pages_dirty,
		 pages_dropped, bytes_sent, bytes_copied, pages_inflight, overflows;
	uint32_t opener_pid, opener_uid, pid, tracker, max_inflight;
};

/** typedef session_fn - called with one session; -1 with @err ends the walk */
typedef int (*session_fn)(void *ctx, const struct session *session, struct error *err);

/** session_parse() - parse a message of the family; -1 with @err when it is not about a session */
int session_parse(struct nlmsghdr *head, struct session *session, struct error *err);

/** struct sessions - a socket to the module */
struct sessions {
	struct nl_sock *sock;
	int family;
};

/** sessions_open() - @events: true for sessions_listen(), false for sessions_dump() */
int sessions_open(struct sessions *sessions, bool events, struct error *err);
void sessions_close(struct sessions *sessions);

/** sessions_dump() - call @fn with each session, in the order of ids */
int sessions_dump(struct sessions *sessions, session_fn fn, void *ctx, struct error *err);

/**
 * sessions_listen() - wait for events, and call @fn with each
 * @lost: set when the kernel has dropped events since the last call
 */
int sessions_listen(struct sessions *sessions, session_fn fn, void *ctx, bool *lost,
		    struct error *err);

#endif
