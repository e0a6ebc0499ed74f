/* SPDX-License-Identifier: GPL-2.0 */
/* Lists the mappings of another task that a userfaultfd covers, and registers the others. */
#ifndef HELPER_BACKEND_UFFD_COVER_H
#define HELPER_BACKEND_UFFD_COVER_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <linux/splice_vm.h>

#define UFFD_COVER_PAGE		4096ULL

/**
 * struct uffd_cover - a userfaultfd and the mappings of its task
 * @session_fd: a session of /dev/splice_vm whose events tracker has @uffd; the caller's
 * @uffd: the userfaultfd, or -1; the caller's
 * @mappings: of the last uffd_cover_list(), in order of addresses; SPLICE_VM_RUN_COVERED, _NEW or
 *	_OPAQUE
 * @nr: number of mappings
 * @cap: room for so many
 */
struct uffd_cover {
	int session_fd;
	int uffd;
	struct splice_vm_run *mappings;
	size_t nr;
	size_t cap;
};

/** uffd_cover_grow() - make room for more mappings. Return: 0 or -ENOMEM */
int uffd_cover_grow(struct uffd_cover *cover);

/** uffd_cover_list() - list the mappings in [start, end). Return: 0 or -errno */
int uffd_cover_list(struct uffd_cover *cover, uint64_t start, uint64_t end);

/**
 * uffd_cover_put_off() - NEW mappings of the list of [start, end) that go on outside of it are OPAQUE now
 *
 * To register a piece of a mapping makes two of it, which the program cannot move by one mremap.
 */
void uffd_cover_put_off(struct uffd_cover *cover, uint64_t start, uint64_t end);

/**
 * uffd_cover_new() - register the NEW mappings of the list for write-protection, all unprotected
 * @cover: registered mappings are COVERED afterwards, the others OPAQUE
 *
 * Return: 0; -errno when a PTE may be writable and still say that it is protected
 */
int uffd_cover_new(struct uffd_cover *cover);

/**
 * uffd_cover_unprotect() - lift all protection of a userfaultfd, a step at a time
 * @session_fd: the session whose tracker has @uffd
 * @uffd: the userfaultfd; stays open, and covers nothing afterwards
 *
 * The last close of a userfaultfd lifts the protection of all that it covers under the task's mmap
 * lock, held for writing: each fault of the task waits. So uffd_wp_stop() calls this first; and so
 * should a process that holds duplicates of both descriptors when the one that tracked was killed.
 */
void uffd_cover_unprotect(int session_fd, int uffd);

static inline uint64_t uffd_run_end(const struct splice_vm_run *run)
{
	return run->addr + run->nr_pages * UFFD_COVER_PAGE;
}

static inline int uffd_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

#endif
