/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/**
 * DOC: splice_vm
 *
 * Another task's pages into a socket or pipe by reference, and the pages it
 * wrote or dropped since last asked, without stopping it.
 *
 * The device
 * ----------
 * One open of /dev/splice_vm is one session on one address space (mm). A new
 * session is empty; SPLICE_VM_ATTACH binds it, once, to the mm behind a
 * /proc/PID/mem descriptor. That descriptor is the capability: opening it made
 * the kernel check ptrace access. The session keeps the mm from being freed,
 * never from being torn down: when the task exits or calls exec the session is
 * *gone*: poll() reports EPOLLHUP and every call on its memory fails with
 * ESRCH. Closing the session ends all it holds.
 *
 * A typical round of a live migration
 * -----------------------------------
 * ::
 *
 *	write "4" to /proc/PID/clear_refs	an epoch ends, the next begins
 *	SPLICE_VM_SCAN, flags TRACKED		runs that were written or dropped
 *	SPLICE_VM_SEND				these runs go to the socket
 *
 * With SPLICE_VM_TRACKER_EVENTS the caller finds the writes himself, by a write-protect
 * userfaultfd and PAGEMAP_SCAN, and SPLICE_VM_EPOCH takes the place of clear_refs.
 *
 * read(), pread()
 *	The file position is the address. Copies; pages that are swapped out
 *	are brought in (unless a userfaultfd of the task covers them: EBUSY;
 *	ENOMEM where there is no memory for that).
 *	Holes and the zero page read as zeros. Stops short at the first address
 *	that cannot be read; EFAULT when that is the first one. Any length and
 *	alignment.
 *
 * splice(), sendfile()
 *	The file position is the address, a multiple of the page size, and so is
 *	the length (EINVAL otherwise). Pages go by reference. Nothing is faulted
 *	in. Stops short at the first page that cannot go by reference; when that
 *	is the first one: ENODATA where there is memory or a hole that pread()
 *	can answer (hole, zero page, swapped, hugetlb, DAX), EFAULT where there
 *	is nothing readable (no mapping, VM_IO, VM_PFNMAP).
 *
 * poll()
 *	EPOLLIN: an epoch ended since the last SCAN with SPLICE_VM_SCAN_TRACKED.
 *	EPOLLHUP: the target is gone.
 *
 * What a page that was sent by reference shows
 * --------------------------------------------
 * The receiver sees the page as it is when the bytes are copied out at the far
 * end of the queue, not as it was at the call: a write of the task in between
 * shows. Such a write is reported by a later SCAN, so that a receiver which
 * takes rounds in order ends up right. Data that must be exact is sent while
 * the task is stopped, and the task is not started before the receiver said
 * that it has copied them.
 *
 * Errors, for all ioctls
 * ----------------------
 * ::
 *
 *	ENOTTY		unknown ioctl
 *	EINVAL		size below the first version of the struct, or a wrong value
 *	E2BIG		size above ours with a non-zero unknown tail
 *	EOPNOTSUPP	unknown flag, or something this kernel or build cannot do
 *	EFAULT		a pointer of the caller is bad
 *	ENOTCONN	the session is not attached yet
 *	ESRCH		the session is gone: the target has exited or called exec
 *	EINTR		a fatal signal came while waiting
 *	ENOMEM		no memory; nothing was changed
 *
 * Errors of one ioctl are listed with its struct. After an error no out field
 * is written unless the struct says so.
 */
#ifndef _UAPI_LINUX_SPLICE_VM_H
#define _UAPI_LINUX_SPLICE_VM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define SPLICE_VM_DEVICE	"/dev/splice_vm"
#define SPLICE_VM_IOC_TYPE	0xB9

/**
 * struct splice_vm_run - a run of pages, and what is so about them
 * @addr: address of the first page, in bytes; a multiple of the page size
 * @nr_pages: length in pages of the system's page size; never 0
 * @flags: SPLICE_VM_RUN_*; 0 where the caller passes runs in
 */
struct splice_vm_run {
	__aligned_u64 addr;
	__u32 nr_pages;
	__u32 flags;
};

/* What SPLICE_VM_SCAN says of a run. */
#define SPLICE_VM_RUN_DIRTY	0x00000001U	/* written, or may be */
#define SPLICE_VM_RUN_DROPPED	0x00000002U	/* reads as zero or as the file now; forget it */
#define SPLICE_VM_RUN_PRESENT	0x00000004U	/* populated */
#define SPLICE_VM_RUN_ZERO	0x00000008U	/* the zero page is mapped here */
#define SPLICE_VM_RUN_SWAPPED	0x00000010U	/* not in memory: swap or migrating */
#define SPLICE_VM_RUN_HUGE	0x00000020U	/* mapped by a huge page */
#define SPLICE_VM_RUN_FILE	0x00000040U	/* a page of a file or of shared memory */
#define SPLICE_VM_RUN_HELD	0x00000080U	/* DIRTY only since somebody holds references */
#define SPLICE_VM_RUN_UNTRACKED	0x00000100U	/* shared: others may write here unseen */

/* What SPLICE_VM_SCAN_MAPPINGS says of a run; exactly one is set. */
#define SPLICE_VM_RUN_COVERED	0x00000200U	/* the userfaultfd of TRACK covers it */
#define SPLICE_VM_RUN_NEW	0x00000400U	/* no userfaultfd covers it: register it */
#define SPLICE_VM_RUN_OPAQUE	0x00000800U	/* hugetlb, DAX, another userfaultfd's */

/* What SPLICE_VM_SEND did with a run; exactly one is set. */
#define SPLICE_VM_RUN_SENT	0x00010000U	/* written to the socket by reference */
#define SPLICE_VM_RUN_IS_ZERO	0x00020000U	/* hole or zero page: reads as zeros, not sent */
#define SPLICE_VM_RUN_GONE	0x00040000U	/* no mapping here, or one without memory (VM_IO) */
#define SPLICE_VM_RUN_SLOW	0x00080000U	/* there is memory, but must be copied: pread() */

/* Features of the module, struct splice_vm_info.features. */
#define SPLICE_VM_FEATURE_SPLICE	0x1ULL	/* splice, sendfile */
#define SPLICE_VM_FEATURE_SEND		0x2ULL	/* SPLICE_VM_SEND */
#define SPLICE_VM_FEATURE_NOTIFIER	0x4ULL	/* DROPPED and EPOLLHUP work */
#define SPLICE_VM_FEATURE_UFFD		0x8ULL	/* SPLICE_VM_UFFD */

/* Trackers, for SPLICE_VM_TRACK and struct splice_vm_info.trackers (1 << n). */
#define SPLICE_VM_TRACKER_NONE		0
#define SPLICE_VM_TRACKER_AUTO		1	/* one that finds writes itself */
#define SPLICE_VM_TRACKER_SOFT_DIRTY	2	/* snapshot when clear_refs is written */
#define SPLICE_VM_TRACKER_EVENTS	3	/* the caller finds writes; drops and the rest */

/**
 * struct splice_vm_info - SPLICE_VM_INFO: what the module can, how the session is
 * @size: in: sizeof(struct) of the caller
 * @flags: in: 0
 * @features: out: SPLICE_VM_FEATURE_*
 * @trackers: out: bit n is set when tracker SPLICE_VM_TRACKER_n can be had
 * @page_size: out: bytes of a page
 * @max_runs: out: the most runs that one SEND takes
 * @max_batch_pages: out: the most pages in one batch on the socket
 * @max_inflight_pages: out: cap of this session, see struct splice_vm_attach
 * @tracker: out: SPLICE_VM_TRACKER_* in use, NONE before TRACK
 * @attached: out: 1 after ATTACH
 * @gone: out: 1 when the target has exited or called exec
 * @reserved: out: 0
 * @epochs: out: epochs that ended since the first TRACK
 * @pages_sent: out: pages that SEND and splice passed on by reference
 * @pages_copied: out: pages that read and pread copied
 * @pages_inflight: out: pages that calls of this session hold right now
 * @overflows: out: times that tracking gave up on detail and said "all dirty"
 * @pages_queued: out: pages that SEND left at sockets, and what calls reserved; a huge
 *	page counts whole
 * @user_pages_queued: out: the same of all sessions that this one's user opened, with what
 *	closed ones left
 * @user_max_inflight_pages: out: limit of that, the module's parameter
 *	max_inflight_per_user
 *
 * Works in every state of the session, also without ATTACH.
 */
struct splice_vm_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
	__aligned_u64 trackers;
	__u32 page_size;
	__u32 max_runs;
	__u32 max_batch_pages;
	__u32 max_inflight_pages;
	__u32 tracker;
	__u32 attached;
	__u32 gone;
	__u32 reserved;
	__aligned_u64 epochs;
	__aligned_u64 pages_sent;
	__aligned_u64 pages_copied;
	__aligned_u64 pages_inflight;
	__aligned_u64 overflows;
	__aligned_u64 pages_queued;
	__aligned_u64 user_pages_queued;
	__aligned_u64 user_max_inflight_pages;
};

/**
 * struct splice_vm_attach - SPLICE_VM_ATTACH: bind the session to an mm
 * @size: in: sizeof(struct) of the caller
 * @flags: in: 0
 * @mem_fd: in: a descriptor of /proc/PID/mem, open for reading; open for writing
 *	too if TRACK is to be used. It may be closed after the call
 * @max_inflight_pages: in: cap on pages that may be in flight at once: what SEND holds and
 *	what it left at sockets, where a huge page counts whole. SEND waits at the cap,
 *	and at that of its user (see struct splice_vm_info), or is EAGAIN with a
 *	non-blocking socket, which nothing announces the end of: ask again in some
 *	milliseconds. What splice() moves is not counted. 0: the default. At least 1024
 *	otherwise
 *
 * Errors: EBADF mem_fd is no descriptor; EINVAL it is not of /proc/PID/mem, or the
 * cap is too small; EACCES it is not open for reading; EBUSY the session is
 * attached already; ESRCH the target has exited.
 */
struct splice_vm_attach {
	__u32 size;
	__u32 flags;
	__s32 mem_fd;
	__u32 max_inflight_pages;
};

/**
 * struct splice_vm_batch - head of a batch on the socket, little-endian
 * @magic: SPLICE_VM_BATCH_MAGIC
 * @nr_runs: struct splice_vm_run that follow this head, flags 0
 * @nr_pages: sum of their nr_pages; so many pages follow the runs, in order
 * @reserved: 0
 * @cookie: as the caller passed it
 */
struct splice_vm_batch {
	__le32 magic;
	__le32 nr_runs;
	__le32 nr_pages;
	__le32 reserved;
	__le64 cookie;
};

#define SPLICE_VM_BATCH_MAGIC	0x53564d42	/* "BMVS" on the wire */

/**
 * struct splice_vm_send - SPLICE_VM_SEND: runs of pages to a stream socket
 * @size: in: sizeof(struct) of the caller
 * @flags: in: 0
 * @sock_fd: in: a connected TCP (also with kTLS) or AF_UNIX stream socket
 * @nr_runs: in: length of @runs, 1 to max_runs
 * @runs: in: pointer to struct splice_vm_run[], flags 0
 * @results: in: pointer to struct splice_vm_run[] to be filled
 * @nr_results: in: capacity of @results, at least 1; out: how many were filled
 * @reserved: in: 0
 * @cookie: in: goes into the head of each batch
 * @pages_done: out: pages of @runs, counted in their order, that @results covers
 * @pages_sent: out: pages that went to the socket
 * @bytes_sent: out: bytes that went to the socket, heads included
 *
 * The runs go out as batches: struct splice_vm_batch, the runs really taken, their
 * pages; nothing is sent for a run that is zero, gone or slow. @results covers the
 * first @pages_done pages of @runs in order, split and merged as needed. The call
 * ends early, with success, after a batch at which a signal is pending, when
 * @results is full, or when the socket is non-blocking and full: go on with the
 * rest of the runs. At least one page is done when it returns success.
 *
 * A batch is never left half-written but by a fatal signal or a dead socket: once
 * begun it is finished, also on a non-blocking socket, for as long as its peer takes.
 * Callers must not send on one socket from two threads at a time.
 *
 * Errors: EBADF sock_fd is no descriptor; ENOTSOCK it is no socket; EOPNOTSUPP it is
 * neither TCP nor an AF_UNIX stream; EINVAL nr_runs, nr_results, alignment, overflow, or a run
 * with flags or no pages; EFAULT an address above user space, or a bad pointer; EAGAIN
 * non-blocking and full before anything was sent; EPIPE, ECONNRESET, ENOTCONN and
 * what else the socket says: the stream is of no further use. After any error from
 * EBADF on the out fields are written; what @results says of the last batch may not
 * have arrived. Sockets with a BPF program on them (sockmap) and kTLS with CCM or
 * TLS_TX_ZEROCOPY_RO are EOPNOTSUPP too.
 */
struct splice_vm_send {
	__u32 size;
	__u32 flags;
	__s32 sock_fd;
	__u32 nr_runs;
	__aligned_u64 runs;
	__aligned_u64 results;
	__u32 nr_results;
	__u32 reserved;
	__aligned_u64 cookie;
	__aligned_u64 pages_done;
	__aligned_u64 pages_sent;
	__aligned_u64 bytes_sent;
};

/**
 * struct splice_vm_track - SPLICE_VM_TRACK: start to track writes and drops
 * @size: in: sizeof(struct) of the caller
 * @flags: in: 0
 * @tracker: in: SPLICE_VM_TRACKER_*; out: the tracker in use
 * @uffd_fd: in: with SPLICE_VM_TRACKER_EVENTS a userfaultfd of the target, or -1; else 0.
 *	The session keeps a reference on the file until the tracker is stopped
 *
 * SPLICE_VM_TRACKER_SOFT_DIRTY: an epoch ends whenever somebody, the caller or anyone
 * else, writes "4" to /proc/PID/clear_refs; what was written in it is kept until a SCAN
 * takes it. While the epoch ends the target stands for as long as it takes to read the
 * page tables of what it wrote; a huge page is dirty as a whole.
 *
 * SPLICE_VM_TRACKER_EVENTS: the module logs drops, finds mappings that @uffd_fd does not
 * cover, and finds pages on which others hold references. The caller finds the writes,
 * with a userfaultfd that write-protects asynchronously (Linux 6.7 and later) and
 * PAGEMAP_SCAN. One round is, in this order::
 *
 *	SPLICE_VM_SCAN, flags MAPPINGS		which mappings are new
 *	UFFDIO_REGISTER, UFFDIO_WRITEPROTECT	register them; clear their protection
 *	PAGEMAP_SCAN, PM_SCAN_WP_MATCHING	which pages were written; protect them again
 *	SPLICE_VM_EPOCH				tell the module; an epoch ends
 *	SPLICE_VM_SCAN, flags TRACKED		all that is to be sent or forgotten
 *
 * helper/backend/uffd_wp.c does it, and says why nothing is lost. The target never stands but
 * while a mapping is registered. Each first write to a page in an epoch takes a fault, and a
 * huge page is split where it is written.
 *
 * While it runs, TRACK with EVENTS once more puts another uffd_fd in the place of the first; no
 * drop is missed.
 *
 * SPLICE_VM_TRACKER_AUTO takes SOFT_DIRTY. SPLICE_VM_TRACKER_NONE stops tracking, also when
 * none runs. The first SCAN after TRACK reports everything that is populated as DIRTY. What
 * direct I/O, under way since before TRACK, writes to pages of which an earlier tracker took the
 * soft-dirty bit is known from the first end of an epoch on: end one before the first SCAN.
 *
 * Errors: EACCES mem_fd of ATTACH was not open for writing; EBADF uffd_fd is no descriptor;
 * EINVAL uffd_fd is no userfaultfd, or is given with another tracker; EBUSY a tracker runs
 * already; EOPNOTSUPP no such tracker here.
 */
struct splice_vm_track {
	__u32 size;
	__u32 flags;
	__u32 tracker;
	__s32 uffd_fd;
};

/* SPLICE_VM_EPOCH flags. */
#define SPLICE_VM_EPOCH_MORE		0x00000001U	/* more ranges of this epoch follow */

/**
 * struct splice_vm_epoch - SPLICE_VM_EPOCH: an epoch ends, these pages were written in it
 * @size: in: sizeof(struct) of the caller
 * @flags: in: SPLICE_VM_EPOCH_*
 * @start: in: first address of which the epoch ends, page aligned
 * @end: in: end address, page aligned, not below @start. Values above user space stand for its
 *	end
 * @runs: in: pointer to struct splice_vm_run[], flags 0: pages that the caller found written
 *	and has protected again. In order of addresses, between @start and @end, no two overlap
 * @nr_runs: in: how many, 0 to SPLICE_VM_EPOCH_RUNS
 * @reserved: in: 0
 *
 * Only with SPLICE_VM_TRACKER_EVENTS. The pages of @runs are reported by the next SCAN TRACKED,
 * and so are those that were HELD when the last epoch of this range ended: somebody may have
 * written to them by reference. The module then notes on which of these pages, and of those
 * that were dropped or replaced, somebody holds references now; for the next epoch.
 *
 * A caller who cannot pass all runs in one call splits the range, with
 * SPLICE_VM_EPOCH_MORE in all calls but the last. INFO counts the last one, and poll() and
 * netlink tell of it.
 *
 * Errors: EINVAL alignment, order, nr_runs, a run outside of the range, with flags or without
 * pages; ENOTCONN also: no tracker runs; EOPNOTSUPP another tracker runs. After an error that
 * is not EINVAL nothing is lost as long as EPOCH is called again, and succeeds, for the same
 * range before SCAN TRACKED: all that is populated there is reported then.
 */
struct splice_vm_epoch {
	__u32 size;
	__u32 flags;
	__aligned_u64 start;
	__aligned_u64 end;
	__aligned_u64 runs;
	__u32 nr_runs;
	__u32 reserved;
};

#define SPLICE_VM_EPOCH_RUNS	4096

/* SPLICE_VM_SCAN flags: exactly one. */
#define SPLICE_VM_SCAN_TRACKED		0x00000001U	/* take DIRTY and DROPPED */
#define SPLICE_VM_SCAN_POPULATED	0x00000002U	/* list what there is; takes nothing */
#define SPLICE_VM_SCAN_MAPPINGS		0x00000004U	/* list mappings; what is new is logged */

/**
 * struct splice_vm_scan - SPLICE_VM_SCAN: what was written or dropped, what there is
 * @size: in: sizeof(struct) of the caller
 * @flags: in: SPLICE_VM_SCAN_*
 * @start: in: first address, page aligned; out: where to go on; @end when done
 * @end: in: end address, page aligned, above @start. Values above user space stand
 *	for its end; then @start ends there as well
 * @runs: in: pointer to struct splice_vm_run[] to be filled
 * @nr_runs: in: capacity of @runs, at least 1; out: how many were filled
 * @done: out: 1 when the range was covered to its end
 * @epoch: out: number of epochs that ended since TRACK, before this call
 *
 * TRACKED takes, that is reads and clears in one step, what the tracker collected
 * up to the last end of an epoch: each page is either in what this call returns or
 * still there for the next. Writes of the running epoch are not in it yet; drops
 * are. Runs are DIRTY (it has content: send it; with HELD when the only reason is
 * that somebody holds references to it, as direct I/O does) or DROPPED (it has
 * none: forget it). Too much is reported where detail is lost, never too little: a
 * huge page is one run, and pages that the kernel swapped out, migrated, or came
 * by when it split a mapping are DIRTY. Mappings shared with others report what
 * this mm wrote, and are never DROPPED while they are mapped.
 *
 * POPULATED lists, in order of addresses, runs that are PRESENT (with ZERO, HUGE
 * or FILE) or SWAPPED (also while a page migrates). hugetlb mappings are listed
 * whole as PRESENT|HUGE. Runs of shared mappings are UNTRACKED as well: what others write
 * there is not reported, so send them anew while all who map them stand. Holes, VM_IO
 * and VM_PFNMAP are not listed.
 *
 * MAPPINGS, with SPLICE_VM_TRACKER_EVENTS only, lists mappings in order of addresses; VM_IO and
 * VM_PFNMAP are left out. COVERED ones are registered with uffd_fd of TRACK; runs side by
 * side are one. NEW ones are not registered with any userfaultfd, one run a mapping: the caller
 * registers them. OPAQUE ones cannot be followed: PAGEMAP_SCAN passes over huge pages of
 * 1 GiB, DAX entries lose writes when they are protected, and one mapping has one
 * userfaultfd. All that is populated in NEW and OPAQUE runs is reported by the next SCAN TRACKED.
 *
 * The mmap lock of the target is held for reading for some milliseconds at a time.
 *
 * Errors: EINVAL alignment, order, nr_runs, not exactly one flag; ENOTCONN also: TRACKED
 * or MAPPINGS before TRACK; EOPNOTSUPP MAPPINGS with another tracker. After an error nothing
 * is lost: what was taken is reported again.
 */
struct splice_vm_scan {
	__u32 size;
	__u32 flags;
	__aligned_u64 start;
	__aligned_u64 end;
	__aligned_u64 runs;
	__u32 nr_runs;
	__u32 done;
	__aligned_u64 epoch;
};

/**
 * struct splice_vm_uffd - SPLICE_VM_UFFD: a userfaultfd of the target's mm
 * @size: in: sizeof(struct) of the caller
 * @flags: in: 0
 * @fd: out: the descriptor: close-on-exec, non-blocking, UFFDIO_API not done yet
 * @reserved: in: 0
 *
 * For SPLICE_VM_TRACKER_EVENTS, a snapshot, a monitor of the working set. It outlives the
 * session. When its last descriptor is closed the kernel lifts the protection of all that it
 * covers, in one go with the target's mmap lock held for writing: UFFDIO_UNREGISTER in
 * steps comes first.
 *
 * Errors: EACCES mem_fd of ATTACH was not open for writing; EPERM whoever opened it did not
 * have CAP_SYS_PTRACE in the initial user namespace; EMFILE; EOPNOTSUPP the kernel has no
 * /dev/userfaultfd, or what opening that said.
 */
struct splice_vm_uffd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};

#define SPLICE_VM_INFO		_IO(SPLICE_VM_IOC_TYPE, 0x80)
#define SPLICE_VM_ATTACH	_IO(SPLICE_VM_IOC_TYPE, 0x81)
#define SPLICE_VM_SEND		_IO(SPLICE_VM_IOC_TYPE, 0x82)
#define SPLICE_VM_TRACK		_IO(SPLICE_VM_IOC_TYPE, 0x83)
#define SPLICE_VM_SCAN		_IO(SPLICE_VM_IOC_TYPE, 0x84)
#define SPLICE_VM_UFFD		_IO(SPLICE_VM_IOC_TYPE, 0x85)
#define SPLICE_VM_EPOCH		_IO(SPLICE_VM_IOC_TYPE, 0x86)

#endif /* _UAPI_LINUX_SPLICE_VM_H */
