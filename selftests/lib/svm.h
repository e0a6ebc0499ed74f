/* SPDX-License-Identifier: GPL-2.0 */
/* Sessions of /dev/splice_vm. A call under test returns the value of the ioctl, or -errno. */
#ifndef SPLICE_VM_SELFTESTS_SVM_H
#define SPLICE_VM_SELFTESTS_SVM_H

#include <linux/splice_vm.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "backend/uffd_wp.h"

#define SVM_END		(~0ULL)		/* of all addresses, for SCAN */

/**
 * struct svm - a session and its descriptors
 * @fd: the device
 * @refs_fd: the target's clear_refs
 * @pagemap_fd: the target's pagemap
 * @wp: the write-protect tracker, built on SPLICE_VM_TRACKER_EVENTS
 * @has_wp: @wp runs
 */
struct svm {
	int fd;
	int refs_fd;
	int pagemap_fd;
	struct uffd_wp wp;
	bool has_wp;
};

/* A growing list of runs. */
struct svm_runs {
	struct splice_vm_run *v;
	size_t nr;
	size_t cap;
};

void svm_runs_add(struct svm_runs *runs, __u64 addr, __u32 nr, __u32 flags);
void svm_runs_free(struct svm_runs *runs);
/* Return: pages in the runs that have all flags of @set and none of @clear */
unsigned long svm_runs_pages(const struct svm_runs *runs, __u32 set,
			     __u32 clear);
void svm_runs_print(const struct svm_runs *runs);

/* Opens the device; without the module the whole test fails. */
int svm_open_device(void);
int svm_ioctl(int fd, unsigned long cmd, void *arg);
int svm_attach(int fd, int mem_fd, __u32 max_inflight);
int svm_track(int fd);
int svm_track_with(int fd, __u32 tracker);
/*
 * True when this kernel has SPLICE_VM_TRACKER_@tracker. For EVENTS the kernel must have everything
 * that the write-protect tracker needs.
 */
bool svm_has_tracker(__u32 tracker);
void svm_info(int fd, struct splice_vm_info *info);

/* Opens a session on @pid with clear_refs, tracked if @track. A failure ends the test. */
void svm_open(struct svm *s, pid_t pid, bool track);
void svm_close(struct svm *s);

/* Tracker of svm_track() and svm_open() from now on; SPLICE_VM_TRACKER_AUTO at first. */
void svm_use_tracker(__u32 tracker);
/* Starts a tracker; EVENTS means the write-protect tracker. Return: 0 or -errno */
int svm_start_tracker(struct svm *s, __u32 tracker);
int svm_stop_tracker(struct svm *s);

/* Ends an epoch. */
void svm_epoch(struct svm *s);

/*
 * Appends to @runs the result of SCAN of [start, end), @cap runs a call. With the write-protect
 * tracker SCAN TRACKED ends an epoch first. Return: 0 or -errno
 */
int svm_scan(struct svm *s, __u32 flags, __u64 start, __u64 end,
	     unsigned int cap, struct svm_runs *runs);

#define SVM_PART_PAGES	4096UL		/* of a part, as in helper/source/parts.c */

/* What came of one part of a round; the callee frees nothing. */
typedef void (*svm_part_fn)(void *ctx, const struct svm_runs *runs);

/*
 * A round of [start, end) by parts, as helper/source/parts.c takes them, with the write-protect
 * tracker only: a list of what was written, then for each @pages of the list a SCAN TRACKED, which
 * @fn gets. A failure ends the test.
 */
void svm_scan_parts(struct svm *s, __u64 start, __u64 end, unsigned long pages, svm_part_fn fn,
		    void *ctx);

/**
 * struct svm_send - repeated SENDs of all runs
 * @sock: the socket
 * @cookie: cookie of the batches
 * @results: results are appended
 * @bytes: bytes sent
 * @calls: number of SENDs
 * @again: number of SENDs that said EAGAIN
 */
struct svm_send {
	int sock;
	__u64 cookie;
	struct svm_runs results;
	__u64 bytes;
	unsigned long calls;
	unsigned long again;
};

int svm_send_all(struct svm *s, struct svm_send *send,
		 const struct splice_vm_run *runs, size_t nr);
/* One SEND of one run. Return: pages done or -errno; flags of the first result */
long svm_send_one(int fd, int sock, __u64 addr, __u32 nr, __u32 *flags);

/* Splices one run to a pipe. */
ssize_t svm_splice(int fd, int pipe, __u64 addr, size_t len);

#endif
