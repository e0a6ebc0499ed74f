/* SPDX-License-Identifier: GPL-2.0 */
/* CRIU's RPC: messages on a SOCK_SEQPACKET pair, `criu swrk` at the other end. */
#ifndef MIGRATE_CRIU_RPC_H
#define MIGRATE_CRIU_RPC_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "criu/config.h"
#include "os/cgroup.h"
#include "rpc.pb-c.h"

/* Descriptor numbers in the CRIU that rpc_spawn() starts. */
#define RPC_FD		3
#define RPC_EXTRA_FD	4

#define CRIU_NETWORK_LOCK_SKIP	3	/* not in the rpc.proto of CRIU 3.17 */

/** struct rpc - a CRIU that rpc_spawn() started; @pid: 0 after rpc_end() has reaped it */
struct rpc {
	pid_t pid;
	int fd;
};

/**
 * rpc_spawn() - start `criu swrk`, protected from the kernel's OOM killer where allowed
 * @extra_fd: CRIU inherits it as RPC_EXTRA_FD; -1: none
 * @listener: filled with the listener for sockopts_answer(), -1: no filter; NULL: install none
 * @group: control group in which CRIU runs; NULL: the caller's
 */
int rpc_spawn(struct rpc *rpc, int extra_fd, int *listener, const struct cgroup *group,
	      struct error *err);

/**
 * rpc_end() - hang up, and reap CRIU
 * @timeout_ms: kill CRIU when it has not ended by then
 * Return: wait status, or -1 when the function killed CRIU
 */
int rpc_end(struct rpc *rpc, int timeout_ms);

int rpc_send(int fd, CriuReq *req, struct error *err);

/**
 * rpc_recv() - receive the next message
 * @timeout_ms: -1: no time-out
 * Return: 1 with @resp, 0 when the other end hung up, -1 with @err
 */
int rpc_recv(int fd, int timeout_ms, CriuResp **resp, struct error *err);

/**
 * rpc_warm() - ask CRIU for its version, so that it is loaded and takes requests afterwards
 *
 * CRIU does its initial work then, while no program is frozen.
 */
int rpc_warm(int fd, struct error *err);

/** rpc_answer() - answer a notification */
int rpc_answer(int fd, bool success, struct error *err);

/** rpc_call() - start CRIU, make one request, and wait for the answer and for CRIU's end */
int rpc_call(CriuReq *req, CriuResp **resp, struct error *err);

/**
 * rpc_failed() - fill @err from CRIU's answer and log
 * @resp: the answer; NULL: none
 * @what: the failed action, as "cannot dump task 7"
 * @log: path of CRIU's log, or NULL
 * Return: always -1
 */
int rpc_failed(const CriuResp *resp, const char *what, const char *log, struct error *err);

/** rpc_path() - path of the directory @fd, followed by "/@name" unless @name is NULL */
int rpc_path(int fd, const char *name, char *path, size_t bytes, struct error *err);

/**
 * rpc_config() - write a configuration file for CRIU
 * @name: name of the file in @work_dir_fd
 * @text: options that CRIU's RPC lacks, one a line, as on the command line without "--"
 * @config: options of the user, of which the file gets those of @end; or NULL
 * @path: filled with the file's path
 */
int rpc_config(int work_dir_fd, const char *name, const char *text,
	       const struct criu_config *config, enum criu_end end, char *path, size_t bytes,
	       struct error *err);

#endif
