/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/**
 * DOC: splice_vm
 *
 * Sends another task's pages into a socket or pipe by reference, and reports the
 * pages that the task wrote or dropped since the last report, without stopping it.
 *
 * The device
 * ----------
 * One open of /dev/splice_vm is one session on one address space (mm). A new
 * session is empty; SPLICE_VM_ATTACH binds it, once, to the mm behind a
 * /proc/PID/mem descriptor. That descriptor is the capability: opening it made
 * the kernel check ptrace access. The session keeps the mm from being freed,
 * never from being torn down: when the task exits or calls exec the session is
 * *gone*: poll() reports EPOLLHUP, and every call on its memory fails with
 * ESRCH. Closing the session releases everything that the session holds.
 *
 * A typical round of a live migration
 * -----------------------------------
 * ::
 *
 *	write "4" to /proc/PID/clear_refs	an epoch ends, the next begins
 *	SPLICE_VM_SCAN, flags TRACKED		runs that the task wrote or dropped
 *	SPLICE_VM_SEND				these runs go to the socket
 *
 * With SPLICE_VM_TRACKER_EVENTS the caller itself finds the writes, by a write-protect
 * userfaultfd and PAGEMAP_SCAN, and SPLICE_VM_EPOCH takes the place of clear_refs.
 *
 * read(), pread()
 *	The file position is the address. The call copies, and brings in pages
 *	that are swapped out (EBUSY when a userfaultfd of the task covers them,
 *	ENOMEM without memory for them). Holes and the zero page read as zeros.
 *	The call stops short at the first unreadable address, and fails with
 *	EFAULT when that is the first address. Any length and alignment.
 *
 * splice(), sendfile()
 *	The file position is the address. Address and length are multiples of the
 *	page size (EINVAL otherwise). Pages go by reference; the call faults no
 *	page in. It stops short at the first page that cannot go by reference.
 *	When that is the first page, it fails: ENODATA when pread() can read the
 *	page (hole, zero page, swapped, hugetlb, DAX), EFAULT when nothing is
 *	readable (no mapping, VM_IO, VM_PFNMAP).
 *
 * poll()
 *	EPOLLIN: an epoch ended since the last SCAN with SPLICE_VM_SCAN_TRACKED.
 *	EPOLLHUP: the target is gone.
 *
 * Content of a page that was sent by reference
 * --------------------------------------------
 * The receiver gets the content at the moment at which the bytes leave the far
 * end of the queue, not at the moment of the call. A write of the task in between
 * shows, and a later SCAN reports it: a receiver that takes rounds in order ends
 * up right. A sender of data that must be exact stops the task first, and starts
 * it again after the receiver said that it has copied the data.
 *
 * Errors, for all ioctls
 * ----------------------
 * ::
 *
 *	ENOTTY		unknown ioctl
 *	EINVAL		size below the first version of the struct, or a wrong value
 *	E2BIG		size above ours with a non-zero unknown tail
 *	EOPNOTSUPP	unknown flag, or a feature that this kernel or build lacks
 *	EFAULT		a pointer of the caller is bad
 *	ENOTCONN	the session is not attached yet
 *	ESRCH		the session is gone: the target has exited or called exec
 *	EINTR		a fatal signal came while waiting
 *	ENOMEM		no memory; the session is unchanged
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
 * struct splice_vm_run - a run of pages with the same properties
 * @addr: address of the first page, in bytes; a multiple of the page size
 * @nr_pages: length in pages of the system's page size; never 0
 * @flags: SPLICE_VM_RUN_*; 0 in runs that the caller passes in
 */
struct splice_vm_run {
	__aligned_u64 addr;
	__u32 nr_pages;
	__u32 flags;
};

/* Properties of a run from SPLICE_VM_SCAN. */
#define SPLICE_VM_RUN_DIRTY	0x00000001U	/* written, or possibly written */
#define SPLICE_VM_RUN_DROPPED	0x00000002U	/* reads as zeros or as the file: forget it */
#define SPLICE_VM_RUN_PRESENT	0x00000004U	/* populated */
#define SPLICE_VM_RUN_ZERO	0x00000008U	/* the zero page is mapped here */
#define SPLICE_VM_RUN_SWAPPED	0x00000010U	/* not in memory: swap or migrating */
#define SPLICE_VM_RUN_HUGE	0x00000020U	/* mapped by a huge page */
#define SPLICE_VM_RUN_FILE	0x00000040U	/* a page of a file or of shared memory */
#define SPLICE_VM_RUN_HELD	0x00000080U	/* DIRTY only because of extra references */
#define SPLICE_VM_RUN_UNTRACKED	0x00000100U	/* shared: other tasks may write unseen */

/* Properties of a run from SPLICE_VM_SCAN_MAPPINGS; exactly one is set. */
#define SPLICE_VM_RUN_COVERED	0x00000200U	/* the userfaultfd of TRACK covers it */
#define SPLICE_VM_RUN_NEW	0x00000400U	/* no userfaultfd covers it: register it */
#define SPLICE_VM_RUN_OPAQUE	0x00000800U	/* hugetlb, DAX, another userfaultfd's */

/* Result of SPLICE_VM_SEND for a run; exactly one is set. */
#define SPLICE_VM_RUN_SENT	0x00010000U	/* written to the socket by reference */
#define SPLICE_VM_RUN_IS_ZERO	0x00020000U	/* hole or zero page: reads as zeros, not sent */
#define SPLICE_VM_RUN_GONE	0x00040000U	/* no mapping, or one without memory (VM_IO) */
#define SPLICE_VM_RUN_SLOW	0x00080000U	/* has memory that must be copied: pread() */

/* Features of the module, struct splice_vm_info.features. */
#define SPLICE_VM_FEATURE_SPLICE	0x1ULL	/* splice, sendfile */
#define SPLICE_VM_FEATURE_SEND		0x2ULL	/* SPLICE_VM_SEND */
#define SPLICE_VM_FEATURE_NOTIFIER	0x4ULL	/* DROPPED and EPOLLHUP work */
#define SPLICE_VM_FEATURE_UFFD		0x8ULL	/* SPLICE_VM_UFFD */

/* Trackers, for SPLICE_VM_TRACK and struct splice_vm_info.trackers (1 << n). */
#define SPLICE_VM_TRACKER_NONE		0
#define SPLICE_VM_TRACKER_AUTO		1	/* a tracker that finds writes itself */
#define SPLICE_VM_TRACKER_SOFT_DIRTY	2	/* snapshot when clear_refs is written */
#define SPLICE_VM_TRACKER_EVENTS	3	/* the caller finds writes, the module the rest */

/**
 * struct splice_vm_info - SPLICE_VM_INFO: features of the module, state of the session
 * @size: in: sizeof(struct) of the caller
 * @flags: in: 0
 * @features: out: SPLICE_VM_FEATURE_*
 * @trackers: out: bit n is set when tracker SPLICE_VM_TRACKER_n is available
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
 * @overflows: out: times that tracking lost detail and reported "all dirty"
 * @pages_queued: out: pages that SEND left at sockets, or that calls have reserved; a huge
 *	page counts whole
 * @user_pages_queued: out: the same sum over all sessions that this session's user opened,
 *	closed ones included
 * @user_max_inflight_pages: out: limit of that sum, the module's parameter
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
 * @mem_fd: in: a descriptor of /proc/PID/mem, open for reading, and for writing too if the
 *	session will TRACK. The caller may close it after the call
 * @max_inflight_pages: in: cap on pages in flight: pages that SEND holds or has left at
 *	sockets, where a huge page counts whole. At the cap, and at the limit of the user
 *	(see struct splice_vm_info), SEND waits. With a non-blocking socket SEND fails
 *	with EAGAIN, and the caller tries again after some milliseconds, since no event
 *	announces room. splice() does not count. 0: the default; otherwise at least 1024
 *
 * Errors: EBADF mem_fd is no descriptor; EINVAL mem_fd is not of /proc/PID/mem, or the
 * cap is too small; EACCES mem_fd is not open for reading; EBUSY the session is
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
 * @nr_pages: sum of the runs' nr_pages; so many pages follow the runs, in order
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
 * @nr_results: in: capacity of @results, at least 1; out: number of filled ones
 * @reserved: in: 0
 * @cookie: in: goes into the head of each batch
 * @pages_done: out: pages of @runs, counted in their order, that @results covers
 * @pages_sent: out: pages that went to the socket
 * @bytes_sent: out: bytes that went to the socket, heads included
 *
 * The runs go out as batches: struct splice_vm_batch, the runs that are sent, and their
 * pages. A batch has no run that is zero, gone or slow. @results covers the first
 * @pages_done pages of @runs in order, split and merged as needed. The call ends early,
 * with success, after a batch at which a signal is pending, when @results is full, or
 * when the socket is non-blocking and full: the caller goes on with the rest of the
 * runs. A successful call has done at least one page.
 *
 * Only a fatal signal or a dead socket leaves a batch half-written: the call finishes
 * a batch that it has begun, also on a non-blocking socket, however long the peer takes.
 * Callers must not send on one socket from two threads at a time.
 *
 * Errors: EBADF sock_fd is no descriptor; ENOTSOCK sock_fd is no socket; EOPNOTSUPP sock_fd
 * is neither TCP nor an AF_UNIX stream; EINVAL nr_runs, nr_results, alignment, overflow, or
 * a run with flags or no pages; EFAULT an address above user space, or a bad pointer;
 * EAGAIN a non-blocking socket was full before the first byte; EPIPE, ECONNRESET, ENOTCONN
 * and other errors of the socket: the stream is of no further use. After any error from
 * EBADF on the out fields are written; the last batch in @results may not have arrived.
 * Sockets with a BPF program on them (sockmap) and kTLS with CCM or TLS_TX_ZEROCOPY_RO
 * are EOPNOTSUPP too.
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
 * SPLICE_VM_TRACKER_SOFT_DIRTY: an epoch ends whenever any process writes "4" to
 * /proc/PID/clear_refs. The module keeps the pages written in the epoch until a SCAN takes
 * them. At the end of an epoch the target waits while the module reads the page tables of
 * these pages. A huge page is dirty as a whole.
 *
 * SPLICE_VM_TRACKER_EVENTS: the module logs drops, finds mappings that @uffd_fd does not
 * cover, and finds pages with extra references. The caller finds the writes, with a
 * userfaultfd that write-protects asynchronously (Linux 6.7 and later) and PAGEMAP_SCAN.
 * The steps of one round, in this order::
 *
 *	SPLICE_VM_SCAN, flags MAPPINGS		list new mappings
 *	UFFDIO_REGISTER, UFFDIO_WRITEPROTECT	register them; clear their protection
 *	PAGEMAP_SCAN, PM_SCAN_WP_MATCHING	find written pages; protect them again
 *	SPLICE_VM_EPOCH				tell the module; an epoch ends
 *	SPLICE_VM_SCAN, flags TRACKED		list pages to send or to forget
 *
 * helper/backend/uffd_wp.c takes these steps, and says why no write is lost. The target waits
 * only while a mapping is registered. Each first write to a page in an epoch takes a fault,
 * and a write splits a huge page.
 *
 * While the tracker runs, a second TRACK with EVENTS replaces uffd_fd without missing a drop.
 *
 * SPLICE_VM_TRACKER_AUTO selects SOFT_DIRTY. SPLICE_VM_TRACKER_NONE stops tracking, also when
 * no tracker runs. The first SCAN after TRACK reports every populated page as DIRTY. Direct
 * I/O that began before TRACK may write to pages whose soft-dirty bit an earlier tracker has
 * cleared. The module knows these pages from the first end of an epoch on, so the caller ends
 * an epoch before the first SCAN.
 *
 * Errors: EACCES mem_fd of ATTACH was not open for writing; EBADF uffd_fd is no descriptor;
 * EINVAL uffd_fd is no userfaultfd, or is given with another tracker; EBUSY a tracker runs
 * already; EOPNOTSUPP this kernel or build lacks the tracker.
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
 * struct splice_vm_epoch - SPLICE_VM_EPOCH: end an epoch, and log the pages written in it
 * @size: in: sizeof(struct) of the caller
 * @flags: in: SPLICE_VM_EPOCH_*
 * @start: in: first address of the range whose epoch ends, page aligned
 * @end: in: end of the range, page aligned, not below @start. Values above user space stand for
 *	the end of user space
 * @runs: in: pointer to struct splice_vm_run[], flags 0: pages that the caller found written
 *	and has protected again. In order of addresses, between @start and @end, no two overlap
 * @nr_runs: in: number of runs, 0 to SPLICE_VM_EPOCH_RUNS
 * @reserved: in: 0
 *
 * Only with SPLICE_VM_TRACKER_EVENTS. The next SCAN TRACKED reports the pages of @runs. It also
 * reports the pages that were HELD when the last epoch of this range ended, since the holder of
 * the reference may have written to them. For the next epoch the module notes which of these
 * pages, and of the dropped or replaced pages, have extra references now.
 *
 * A caller with more runs splits the range, and sets SPLICE_VM_EPOCH_MORE in all calls but the
 * last. INFO counts the last call, and poll() and netlink announce it.
 *
 * Errors: EINVAL alignment, order, nr_runs, a run outside of the range, with flags or without
 * pages; ENOTCONN also: no tracker runs; EOPNOTSUPP another tracker runs. After an error other
 * than EINVAL the caller calls EPOCH again for the same range before SCAN TRACKED. When that
 * succeeds no write is lost: the next SCAN TRACKED reports every populated page of the range.
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
#define SPLICE_VM_SCAN_TRACKED		0x00000001U	/* take DIRTY and DROPPED runs */
#define SPLICE_VM_SCAN_POPULATED	0x00000002U	/* list populated pages; takes none */
#define SPLICE_VM_SCAN_MAPPINGS		0x00000004U	/* list mappings; logs new ones */

/**
 * struct splice_vm_scan - SPLICE_VM_SCAN: list written, dropped or populated pages, or mappings
 * @size: in: sizeof(struct) of the caller
 * @flags: in: SPLICE_VM_SCAN_*
 * @start: in: first address, page aligned; out: address at which to go on; @end when done
 * @end: in: end address, page aligned, above @start. Values above user space stand for the end
 *	of user space, which is then the last @start too
 * @runs: in: pointer to struct splice_vm_run[] to be filled
 * @nr_runs: in: capacity of @runs, at least 1; out: number of filled ones
 * @done: out: 1 when the call has covered the range to its end
 * @epoch: out: number of epochs that ended between TRACK and this call
 *
 * TRACKED takes (reads and clears in one step) the pages that the tracker has logged up to the
 * last end of an epoch: a page is either in the result of this call, or stays for the next
 * call. The result has no writes of the running epoch, but its drops. A run is DIRTY (its
 * pages have content: send them) or DROPPED (its pages have none: forget them). HELD marks a
 * run that is DIRTY only because of extra references, as direct I/O takes. Where detail is lost
 * the module reports too many pages, never too few. A huge page is one run. Pages that the
 * kernel has swapped out, migrated, or met when it split a mapping are DIRTY. Of a shared
 * mapping the module reports the writes of this mm only; it is never DROPPED while mapped.
 *
 * POPULATED lists, in order of addresses, runs that are PRESENT (with ZERO, HUGE or FILE) or
 * SWAPPED (also while a page migrates). A hugetlb mapping is one run, PRESENT|HUGE. Runs of
 * shared mappings are UNTRACKED as well: TRACKED does not report writes of other tasks, so the
 * caller sends these runs anew while all tasks that map them are stopped. The list lacks holes,
 * VM_IO and VM_PFNMAP.
 *
 * MAPPINGS, with SPLICE_VM_TRACKER_EVENTS only, lists mappings in order of addresses, without
 * VM_IO and VM_PFNMAP. COVERED mappings are registered with uffd_fd of TRACK; adjacent ones are
 * one run. NEW mappings are registered with no userfaultfd, one run a mapping: the caller
 * registers them. OPAQUE mappings cannot be tracked: PAGEMAP_SCAN passes over huge pages of 1 GiB,
 * DAX entries lose writes when they are protected, and a mapping can have one userfaultfd only.
 * The next SCAN TRACKED reports every populated page of NEW and OPAQUE runs.
 *
 * The call holds the mmap lock of the target for reading, for some milliseconds at a time.
 *
 * Errors: EINVAL alignment, order, nr_runs, not exactly one flag; ENOTCONN also: TRACKED
 * or MAPPINGS before TRACK; EOPNOTSUPP MAPPINGS with another tracker. An error loses no page:
 * the next call reports the taken pages again.
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
 * For SPLICE_VM_TRACKER_EVENTS, a snapshot, a monitor of the working set. The userfaultfd
 * outlives the session. When its last descriptor is closed, the kernel lifts the protection of
 * all covered pages at once, with the target's mmap lock held for writing. The caller therefore
 * calls UFFDIO_UNREGISTER in steps first.
 *
 * Errors: EACCES mem_fd of ATTACH was not open for writing; EPERM the opener of mem_fd lacked
 * CAP_SYS_PTRACE in the initial user namespace; EMFILE; EOPNOTSUPP the kernel has no
 * /dev/userfaultfd; or an error of opening /dev/userfaultfd.
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
