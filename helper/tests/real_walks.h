/* SPDX-License-Identifier: GPL-2.0 */
/* The functions behind those of a test that is linked with --wrap. */
#ifndef MIGRATE_TESTS_REAL_WALKS_H
#define MIGRATE_TESTS_REAL_WALKS_H

#include <poll.h>
#include <time.h>
#include "os/cgroup_mounts.h"
#include "os/inet_sockets.h"
#include "os/pagemap.h"
#include "os/proc.h"
#include "os/proc_files.h"
#include "os/unix_diag.h"

int __real_poll(struct pollfd *fds, nfds_t nr, int timeout_ms);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __real_proc_stat_read(pid_t pid, struct proc_status *status, struct error *err);
int __real_proc_open_clear_refs(pid_t pid, struct error *err);
int __real_proc_links(proc_link_fn fn, void *ctx, struct error *err);
int __real_unix_diag_walk(unix_sock_fn fn, void *ctx);
int __real_inet_sockets_read(pid_t pid, struct inet_sockets *all, struct error *err);
int __real_pagemap_read(int fd, uint64_t addr, size_t nr, uint64_t *entries, struct error *err);
bool __real_cgroup_mounts_walk(const char *mountinfo, const char *controllers, cgroup_mount_fn fn, void *ctx);

#endif
