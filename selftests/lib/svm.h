/* SPDX-License-Identifier: GPL-2.0 */
/* Sessions of /dev/splice_vm. Calls under test return what they got, or -errno. */
#ifndef SPLICE_VM_SELFTESTS_SVM_H
#define SPLICE_VM_SELFTESTS_SVM_H

#include <linux/splice_vm.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "backend/uffd_wp.h"

#define SVM_END		(~0ULL)		/* of all addresses, for SCAN */

/**
 * struct svm - a session and what belongs to it
 * @fd: of the device
 * @refs_fd: the target's clear_refs
 * @pagemap_fd: the target's pagemap
 * @wp: the write-protect tracker, while it runs: SPLICE_VM_TRACKER_EVENTS and what belongs to it
 * @has_wp: it runs
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
/* Runs that have all of @set and none of @clear; pages in them. */
unsigned long svm_runs_pages(const struct svm_runs *runs, __u32 set,
			     __u32 clear);
void svm_runs_print(const struct svm_runs *runs);

/* Open device; fails the whole test without the module. */
int svm_open_device(void);
int svm_ioctl(int fd, unsigned long cmd, void *arg);
int svm_attach(int fd, int mem_fd, __u32 max_inflight);
int svm_track(int fd);
int svm_track_with(int fd, __u32 tracker);
/*
 * Whether SPLICE_VM_TRACKER_@tracker can be had on this kernel; EVENTS stands for the write-protect
 * tracker here, so for all that it is made of.
 */
bool svm_has_tracker(__u32 tracker);
void svm_info(int fd, struct splice_vm_info *info);

/* Session on @pid, that must work; with clear_refs, tracked if @track. */
void svm_open(struct svm *s, pid_t pid, bool track);
void svm_close(struct svm *s);

/* What svm_track() and svm_open() take from now on; SPLICE_VM_TRACKER_AUTO at first. */
void svm_use_tracker(__u32 tracker);
/* The tracker of a session; with EVENTS the write-protect tracker. Return: 0 or -errno */
int svm_start_tracker(struct svm *s, __u32 tracker);
int svm_stop_tracker(struct svm *s);

/* An epoch ends. */
void svm_epoch(struct svm *s);

/*
 * All of [start, end), appended to @runs, @cap runs a call. With the write-protect tracker
 * SCAN TRACKED ends an epoch first. Return: 0 or -errno
 */
int svm_scan(struct svm *s, __u32 flags, __u64 start, __u64 end,
	     unsigned int cap, struct svm_runs *runs);

/**
 * struct svm_send - SEND until all is done
 * @sock: a socket
 * @cookie: for the batches
 * @results: appended
 * @bytes: that went out
 * @calls: SENDs that it took
 * @again: of those the ones that said EAGAIN
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

/* splice(), of one run, to a pipe. */
ssize_t svm_splice(int fd, int pipe, __u64 addr, size_t len);

#endif
