/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface to a program's memory at the source. A backend is a session on one address space:
 * it lists pages, sends pages, reads pages, and reports the pages that the program wrote.
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

struct packer;

/** enum backend_kind - which backend the user asked for; AUTO: the module where it can be used */
enum backend_kind { BACKEND_AUTO, BACKEND_MODULE, BACKEND_VMREAD };

/**
 * enum backend_tracker - which tracker the user asked for; AUTO: write-protection where the module
 *	and the kernel have it, else soft-dirty bits
 */
enum backend_tracker { TRACKER_AUTO, TRACKER_WRITE_PROTECT, TRACKER_SOFT_DIRTY };

/** typedef backend_runs_fn - called with some runs; -1 with @err ends the walk */
typedef int (*backend_runs_fn)(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			       struct error *err);

/**
 * struct backend_hold - the source's hold on the program: it freezes all processes, and has descriptors kept
 * @freeze: returns when no thread of the program runs or is in a system call. For backend_ops.look: the
 *	source calls @freeze, no backend does
 * @stands: between @freeze and @thaw: process @pid is among those that stand. A process that left the
 *	program before @freeze runs on
 * @thaw: undoes @freeze; called after each @freeze, also after a failed one
 * @keep: the keeper takes duplicates of a session of the module and of its userfaultfd, in place
 *	of earlier ones of this session. When this process dies, the keeper lifts all write-protection.
 *	@uffd -1: the keeper closes its duplicates for @session_fd, which is still open. NULL: there is no
 *	keeper
 * @in_calls: @freeze stops a thread inside of a system call that sleeps (cgroup v1, since Linux
 *	6.1): the call may write its result into the program's memory after the thaw
 */
struct backend_hold {
	int (*freeze)(void *ctx, struct error *err);
	bool (*stands)(void *ctx, pid_t pid);
	int (*thaw)(void *ctx, struct error *err);
	int (*keep)(void *ctx, int session_fd, int uffd, struct error *err);
	bool in_calls;
	void *ctx;
};

/**
 * struct backend_settled - result of backend_ops.settle
 * @dirty_pages: pages that CRIU would have taken for dirty
 * @pages: pages in memory
 * @cleared: the function has cleared the soft-dirty bits once more
 * @ns: time that clearing took
 */
struct backend_settled {
	uint64_t dirty_pages, pages, ns;
	bool cleared;
};

/* Beside the flags of SPLICE_VM_RUN_*: several address spaces may have these pages. */
#define BACKEND_RUN_COMMON	0x80000000U

/**
 * struct backend_send - destination and counters of backend_ops.send
 * @conn: the connection; one thread at a time writes to it
 * @cookie: cookie of the frames
 * @buf: FRAME_MAX_PAGES pages that the backend may use during the call
 * @packer: compresses the pages when packer_is_on(): then no page goes by reference. NULL: nothing does
 * @pages: increased by the pages sent
 * @copied: increased by the pages that were copied instead of sent by reference
 * @bytes: increased by the bytes sent
 */
struct backend_send {
	const struct conn *conn;
	uint64_t cookie;
	void *buf;
	struct packer *packer;
	uint64_t pages, copied, bytes;
};

struct backend;

/**
 * struct backend_ops - what a backend does
 * @name: as in --backend and in the result
 * @track: begin to follow writes. Only where struct backend.tracks is set
 * @look: end an epoch; the program stands. The next @scan, for which the program may run again, tells
 *	what the look found, or why it failed. Without a look that @scan tells nothing: the epoch goes
 *	on. @last: the program does not run again, and no epoch begins. NULL: @scan ends an epoch by
 *	itself, and needs nobody to stand
 * @scan: end an epoch, and tell what was written (SPLICE_VM_RUN_DIRTY) or is gone
 *	(SPLICE_VM_RUN_DROPPED) since the epoch before. The first scan after @track tells all
 *	there is
 * @list: about the same pages as @scan would call dirty, as SPLICE_VM_RUN_DIRTY, while the epoch goes on.
 *	Only where struct backend.by_parts is set
 * @scan_part: @scan of the addresses from @start to below @end alone. Once in a round for each address, in
 *	order, up to USER_END. Only where struct backend.by_parts is set
 * @frames: entries of the page map (os/pagemap.h) of @nr pages from @addr on, as they were in the look that
 *	the last @scan told; 0 for a page of a file. False: that @scan told no look. NULL where @look is
 * @settle: the freeze is next: make few pages dirty for CRIU, if it pays. NULL: they are few
 * @give_up: the program stands, the last @scan has been: CRIU comes. @scan then tells what was written
 *	after CRIU had looked for dirty pages. Only where struct backend.stands_first is set
 * @populated: what there is in a range, as SPLICE_VM_SCAN_POPULATED tells it; with BACKEND_RUN_COMMON where struct
 *	backend.tells_common is set
 * @send: send all of the runs, and tell for each page SPLICE_VM_RUN_SENT, IS_ZERO, GONE or SLOW,
 *	in order. Blocks while the socket is full: another thread ends it by a shutdown of the socket
 * @splice: put pages from @addr on into a pipe by reference, at most @nr, for which the pipe has room; *@done: how
 *	many, short at the first page that only @read gets. NULL: this backend has no references
 * @read: copy bytes; *@done: how far it came, short at an address that cannot be read
 * @is_gone: the address space is no more: the process has exited, or called exec
 * @overflows: how often detail was lost and "all dirty" was told
 * @close: frees the backend too
 *
 * Several threads at a time may call @send and @read; one thread calls the others.
 */
struct backend_ops {
	const char *name;
	int (*track)(struct backend *backend, struct error *err);
	void (*look)(struct backend *backend, bool last);
	int (*scan)(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err);
	int (*list)(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err);
	int (*scan_part)(struct backend *backend, uint64_t start, uint64_t end, backend_runs_fn fn,
			 void *ctx, struct error *err);
	bool (*frames)(struct backend *backend, uint64_t addr, size_t nr, uint64_t *entries);
	int (*settle)(struct backend *backend, struct backend_settled *settled,
		      struct error *err);
	int (*give_up)(struct backend *backend, struct error *err);
	int (*populated)(struct backend *backend, uint64_t start, uint64_t end,
			 backend_runs_fn fn, void *ctx, struct error *err);
	int (*send)(struct backend *backend, struct backend_send *send,
		    const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		    void *ctx, struct error *err);
	int (*splice)(struct backend *backend, uint64_t addr, size_t nr, int pipe_fd, size_t *done,
		      struct error *err);
	int (*read)(struct backend *backend, uint64_t addr, void *buf, size_t bytes,
		    size_t *done, struct error *err);
	bool (*is_gone)(struct backend *backend);
	uint64_t (*overflows)(struct backend *backend);
	void (*close)(struct backend *backend);
};

/**
 * struct backend - one session
 * @tracker: "write-protect", "soft-dirty", or "none" when the backend cannot track writes
 * @tracker_why: reason for the tracker, as text. Empty: @why has the reason
 * @tracks: the backend has @track and @scan
 * @criu_tracks: CRIU may use and clear soft-dirty bits: the tracker loses no write by that
 * @stands_first: the source freezes the control group, and takes the last @scan, before CRIU dumps
 * @by_parts: the backend has @list and @scan_part
 * @tells_common: @populated says BACKEND_RUN_COMMON
 * @gone_fd: poll() with @gone_events shows that the target has exited, or, with the module, called exec
 * @why: reason for the backend, and for a missing tracker, as text
 */
struct backend {
	const struct backend_ops *ops;
	pid_t pid;
	const char *tracker;
	bool tracks, criu_tracks, stands_first, by_parts, tells_common;
	int gone_fd;
	short gone_events;
	char why[200], tracker_why[100];
};

/**
 * backend_open() - open a session on the address space of @pid
 * @hold: NULL: nothing can freeze the program for a moment
 * Return: NULL with @err: CODE_NOT_READY when @kind or @tracker is not available
 */
struct backend *backend_open(enum backend_kind kind, enum backend_tracker tracker, pid_t pid,
			     const struct backend_hold *hold, struct error *err);
void backend_close(struct backend *backend);

/** backend_kind_find() - enum backend_kind with this name; -1: there is none */
int backend_kind_find(const char *name);

/** backend_tracker_find() - enum backend_tracker with this name; -1: there is none */
int backend_tracker_find(const char *name);

/* The backends; backend_open() chooses. */
struct backend *module_open(pid_t pid, enum backend_tracker tracker,
			    const struct backend_hold *hold, struct error *err);
/** module_is_there() - the device exists */
bool module_is_there(void);
/** module_can() - true when the module is loaded and has the needed features; @why: the reason */
bool module_can(char *why, size_t size);
struct backend *vmread_open(pid_t pid, const struct backend_hold *hold, struct error *err);

#endif
