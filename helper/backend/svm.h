/* SPDX-License-Identifier: GPL-2.0 */
/* A session of /dev/splice_vm on one address space; see linux/splice_vm.h. */
#ifndef MIGRATE_BACKEND_SVM_H
#define MIGRATE_BACKEND_SVM_H

#include <stdint.h>
#include <sys/types.h>
#include <linux/splice_vm.h>
#include "base/error.h"

/**
 * struct svm - one session
 * @fd: descriptor of the device; -1: no session. poll() says POLLHUP when the target has exited or
 *	called exec; pread() reads the target's memory
 * @info: features and limits at the start
 */
struct svm {
	int fd;
	pid_t pid;
	struct splice_vm_info info;
};

/** svm_probe() - read the module's features; -1 with @err when it is not loaded */
int svm_probe(struct splice_vm_info *info, struct error *err);

/** svm_open() - open a session on the address space of @pid, without tracker */
int svm_open(struct svm *svm, pid_t pid, struct error *err);
void svm_close(struct svm *svm);
int svm_info(const struct svm *svm, struct splice_vm_info *info, struct error *err);

/** svm_track() - start the tracker; the first svm_scan() reports every populated page */
int svm_track(struct svm *svm, struct error *err);

/** typedef svm_runs_fn - called with some runs; -1 with @err ends the walk */
typedef int (*svm_runs_fn)(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			   struct error *err);

/**
 * svm_scan() - SCAN of [@start, @end), repeated until it is done
 * @flags: SPLICE_VM_SCAN_TRACKED or SPLICE_VM_SCAN_POPULATED
 */
int svm_scan(struct svm *svm, uint32_t flags, uint64_t start, uint64_t end, svm_runs_fn fn,
	     void *ctx, struct error *err);

/** struct svm_sent - sums of several calls of svm_send() */
struct svm_sent {
	uint64_t pages, bytes;
};

/**
 * svm_send() - SEND all of @runs, repeated until each has a result
 * @fn: called with the results: runs with one of SENT, IS_ZERO, GONE, SLOW
 * @sent: increased
 *
 * Blocks while the socket is full: shutdown() of the socket ends the call.
 */
int svm_send(struct svm *svm, int sock, uint64_t cookie, const struct splice_vm_run *runs,
	     uint32_t nr_runs, svm_runs_fn fn, void *ctx, struct svm_sent *sent,
	     struct error *err);

/**
 * svm_splice() - put up to @nr pages from @addr on into a pipe by reference; the pipe has room for them
 * @done: pages, fewer when one cannot go by reference
 */
int svm_splice(struct svm *svm, uint64_t addr, size_t nr, int pipe_fd, size_t *done, struct error *err);

/** svm_read() - copy @bytes from @addr; *@done: bytes copied, fewer at an unreadable address */
int svm_read(struct svm *svm, uint64_t addr, void *buf, size_t bytes, size_t *done,
	     struct error *err);

#endif
