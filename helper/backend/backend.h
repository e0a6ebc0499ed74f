/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the source reads a program's memory and learns of writes. A backend is a session on one
 * address space: it lists pages, sends them, reads them, and tells what was written.
 */
#ifndef MIGRATE_BACKEND_BACKEND_H
#define MIGRATE_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/splice_vm.h>
#include "base/error.h"
#include "wire/conn.h"

/** enum backend_kind - which backend the user asked for; AUTO: the module where it can be used */
enum backend_kind { BACKEND_AUTO, BACKEND_MODULE, BACKEND_VMREAD };

/**
 * enum backend_tracker - which tracker the user asked for; AUTO: write-protection where the module
 *	and the kernel have it, else soft-dirty bits
 */
enum backend_tracker { TRACKER_AUTO, TRACKER_WRITE_PROTECT, TRACKER_SOFT_DIRTY };

/** typedef backend_runs_fn - takes some runs; -1 with err ends the walk */
typedef int (*backend_runs_fn)(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			       struct error *err);

/**
 * struct backend_hold - how a backend gets the program frozen, and descriptors kept
 * @freeze: returns when no thread of the program runs, nor is in a system call
 * @thaw: undoes it; called after each @freeze, one that failed too
 * @keep: another process takes duplicates of a session of the module and of its userfaultfd in
 *	place of those that it has, and lifts all write-protection when this process dies. -1, -1:
 *	none any more. NULL: nobody does
 * @in_calls: @freeze stops a thread inside of a system call that sleeps (cgroup v1, since Linux 6.1):
 *	the call may write its result into the program's memory after the thaw
 */
struct backend_hold {
	int (*freeze)(void *ctx, struct error *err);
	int (*thaw)(void *ctx, struct error *err);
	int (*keep)(void *ctx, int session_fd, int uffd, struct error *err);
	bool in_calls;
	void *ctx;
};

/**
 * struct backend_settled - what backend_ops.settle found and did
 * @dirty_pages: pages that CRIU would have taken for dirty, of @pages that are in memory
 * @cleared: the soft-dirty bits were cleared once more, which took @ns
 */
struct backend_settled {
	uint64_t dirty_pages, pages, ns;
	bool cleared;
};

/**
 * struct backend_send - where pages go, for backend_ops.send
 * @conn: one thread writes to it at a time
 * @cookie: of the frames
 * @buf: FRAME_MAX_PAGES pages that the backend may use during the call
 * @pages: added to: pages sent
 * @copied: added to: of these, pages that were copied and not sent by reference
 * @bytes: added to: bytes sent
 */
struct backend_send {
	const struct conn *conn;
	uint64_t cookie;
	void *buf;
	uint64_t pages, copied, bytes;
};

struct backend;

/**
 * struct backend_ops - what a backend does
 * @name: as in --backend and in the result
 * @track: begin to follow writes. Only where struct backend.tracks is set
 * @scan: end an epoch, and tell what was written (SPLICE_VM_RUN_DIRTY) or is gone
 *	(SPLICE_VM_RUN_DROPPED) since the epoch before. The first scan after @track tells all
 *	there is. With @stands the program stands already, and is not to be frozen
 * @settle: the freeze is next: make few pages dirty for CRIU, if it pays. NULL: they are few
 * @give_up: the program stands, the last @scan has been: nothing of the tracker may be left in it
 *	when CRIU comes. @scan then tells what was written after CRIU had looked for dirty pages.
 *	Only where struct backend.stands_first is set
 * @populated: what there is in a range, as SPLICE_VM_SCAN_POPULATED tells it
 * @send: send all of the runs, and tell for each page SPLICE_VM_RUN_SENT, IS_ZERO, GONE or SLOW,
 *	in order. Blocks while the socket is full: whoever wants to end it shuts the socket down
 * @read: copy bytes; *@done: how far it came, short at an address that cannot be read
 * @is_gone: the address space is no more: the process has exited, or called exec
 * @overflows: how often detail was lost and "all dirty" was told
 * @close: frees the backend too
 *
 * @send and @read may run in several threads at a time; the others in one.
 */
struct backend_ops {
	const char *name;
	int (*track)(struct backend *backend, struct error *err);
	int (*scan)(struct backend *backend, bool stands, backend_runs_fn fn, void *ctx,
		    struct error *err);
	int (*settle)(struct backend *backend, struct backend_settled *settled,
		      struct error *err);
	int (*give_up)(struct backend *backend, struct error *err);
	int (*populated)(struct backend *backend, uint64_t start, uint64_t end,
			 backend_runs_fn fn, void *ctx, struct error *err);
	int (*send)(struct backend *backend, struct backend_send *send,
		    const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		    void *ctx, struct error *err);
	int (*read)(struct backend *backend, uint64_t addr, void *buf, size_t bytes,
		    size_t *done, struct error *err);
	bool (*is_gone)(struct backend *backend);
	uint64_t (*overflows)(struct backend *backend);
	void (*close)(struct backend *backend);
};

/**
 * struct backend - one session
 * @tracker: "write-protect", "soft-dirty", or "none" when writes cannot be followed
 * @tracker_why: why it is this tracker; for people. Empty: @why says it
 * @tracks: @track and @scan can be used
 * @criu_tracks: CRIU may go by soft-dirty bits, and may clear them: no write is lost by that
 * @stands_first: the control group is frozen, and the last @scan taken, before CRIU dumps
 * @gone_fd: poll() with @gone_events says that the target has exited; of the module, or called exec
 * @why: why it is this backend, and why it does not track; for people
 * @stood_ns: how long the program stood in all so that the tracker could look
 */
struct backend {
	const struct backend_ops *ops;
	pid_t pid;
	const char *tracker;
	bool tracks, criu_tracks, stands_first;
	int gone_fd;
	short gone_events;
	char why[200], tracker_why[100];
	uint64_t stood_ns;
};

/**
 * backend_open() - a session on the address space of @pid
 * @hold: how the program is frozen for a moment; NULL: it cannot be
 * Return: NULL with @err: CODE_NOT_READY when @kind or @tracker cannot be had
 */
struct backend *backend_open(enum backend_kind kind, enum backend_tracker tracker, pid_t pid,
			     const struct backend_hold *hold, struct error *err);
void backend_close(struct backend *backend);

/** backend_kind_find() - by its name; -1: there is no such backend */
int backend_kind_find(const char *name);

/** backend_tracker_find() - by its name; -1: there is no such tracker */
int backend_tracker_find(const char *name);

/* The backends; backend_open() chooses. */
struct backend *module_open(pid_t pid, enum backend_tracker tracker,
			    const struct backend_hold *hold, struct error *err);
/** module_is_there() - the device exists */
bool module_is_there(void);
/** module_can() - the module is there and can do what is needed; @why: the answer in words */
bool module_can(char *why, size_t size);
struct backend *vmread_open(pid_t pid, const struct backend_hold *hold, struct error *err);

#endif
