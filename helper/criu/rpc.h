/* SPDX-License-Identifier: GPL-2.0 */
/* CRIU's RPC: messages on a SOCK_SEQPACKET pair, `criu swrk` at the other end. */
#ifndef MIGRATE_CRIU_RPC_H
#define MIGRATE_CRIU_RPC_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "os/cgroup.h"
#include "rpc.pb-c.h"

/* Descriptor numbers in the CRIU that rpc_spawn() starts. */
#define RPC_FD		3
#define RPC_EXTRA_FD	4

/** struct rpc - a CRIU that was started here; @pid is 0 when it was reaped */
struct rpc {
	pid_t pid;
	int fd;
};

/**
 * rpc_spawn() - start `criu swrk`, safe from the kernel's OOM killer where that is allowed
 * @extra_fd: passed on as RPC_EXTRA_FD; -1 for none
 * @listener: filled with what sockopts_answer() wants, -1 if it cannot be had; or NULL
 * @group: the control group that it is to run in; NULL: the caller's
 */
int rpc_spawn(struct rpc *rpc, int extra_fd, int *listener, const struct cgroup *group,
	      struct error *err);

/**
 * rpc_end() - hang up, and reap CRIU
 * @timeout_ms: kill it when it has not ended by then
 * Return: wait status, or -1 when it had to be killed
 */
int rpc_end(struct rpc *rpc, int timeout_ms);

int rpc_send(int fd, CriuReq *req, struct error *err);

/**
 * rpc_recv() - the next message
 * @timeout_ms: -1 for none
 * Return: 1 with @resp, 0 when the other end hung up, -1 with @err
 */
int rpc_recv(int fd, int timeout_ms, CriuResp **resp, struct error *err);

/** rpc_answer() - the answer to a notification */
int rpc_answer(int fd, bool success, struct error *err);

/** rpc_call() - start CRIU, one request, one answer, CRIU's end */
int rpc_call(CriuReq *req, CriuResp **resp, struct error *err);

/**
 * rpc_failed() - fill @err from what CRIU said
 * @resp: NULL when it said nothing
 * @what: what did not work, as "cannot dump task 7"
 * @log: path of CRIU's log, or NULL
 * Return: always -1
 */
int rpc_failed(const CriuResp *resp, const char *what, const char *log, struct error *err);

/** rpc_path() - path of the directory @fd, with "/@name" when that is not NULL */
int rpc_path(int fd, const char *name, char *path, size_t bytes, struct error *err);

/**
 * rpc_config() - write a configuration file
 * @name: of the file in @work_dir_fd
 * @text: options that the RPC lacks, one a line, as on the command line without "--"
 * @path: filled with the file's path
 */
int rpc_config(int work_dir_fd, const char *name, const char *text, char *path, size_t bytes,
	       struct error *err);

#endif
