// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "criu/cores.h"

#define MODE_NATIVE	1
#define CALL_BYTES	2	/* length of a system call instruction */
#define NSEC_PER_MSEC	1000000UL
#define NSEC_PER_SEC	1000000000UL

/* Where a call has its time-out; AT_SOCKET: SO_RCVTIMEO or SO_SNDTIMEO of the socket */
enum timeout_at { AT_NOWHERE, AT_MS_DX, AT_MS_R10, AT_SPEC_DI, AT_SPEC_DX, AT_SPEC_R10, AT_FUTEX,
		  AT_SOCKET };

/*
 * System calls that a stop by ptrace ends with EINTR, or with a restart that CRIU cannot express.
 * Each of these has had no effect when it returns EINTR, so the thread can make the call again. The
 * table lacks connect(), which goes on in the background, and restart_syscall(), which does not
 * show the call that it restarts.
 */
static const struct wait_call {
	long nr;
	const char *name;
	enum timeout_at timeout_at;
} wait_calls[] = {
	{ SYS_nanosleep, "nanosleep", AT_SPEC_DI },
	{ SYS_clock_nanosleep, "clock_nanosleep", AT_SPEC_DX },
	{ SYS_poll, "poll", AT_MS_DX },
	{ SYS_epoll_wait, "epoll_wait", AT_MS_R10 },
	{ SYS_epoll_pwait, "epoll_pwait", AT_MS_R10 },
	{ SYS_epoll_pwait2, "epoll_pwait2", AT_SPEC_R10 },
	{ SYS_futex, "futex", AT_FUTEX },
	{ SYS_rt_sigtimedwait, "sigtimedwait", AT_SPEC_DX },
	{ SYS_semop, "semop", AT_NOWHERE },
	{ SYS_semtimedop, "semtimedop", AT_SPEC_R10 },
	{ SYS_read, "read", AT_SOCKET },
	{ SYS_recvfrom, "recvfrom", AT_SOCKET },
	{ SYS_recvmsg, "recvmsg", AT_SOCKET },
	{ SYS_recvmmsg, "recvmmsg", AT_SOCKET },
	{ SYS_accept, "accept", AT_SOCKET },
	{ SYS_accept4, "accept4", AT_SOCKET },
};

static const struct wait_call *find_call(long nr)
{
	for (size_t i = 0; i < sizeof(wait_calls) / sizeof(*wait_calls); i++)
		if (wait_calls[i].nr == nr)
			return &wait_calls[i];
	return NULL;
}

static void timeout_ms(struct criu_wait *wait, int ms)
{
	if (ms < 0)
		return;
	wait->timeout = TIMEOUT_WHOLE;
	wait->timeout_ns = ms * NSEC_PER_MSEC;
}

static void timeout_spec(struct criu_wait *wait, int mem_fd, uint64_t at)
{
	struct timespec spec;

	if (!at)
		return;
	wait->timeout = TIMEOUT_UNKNOWN;
	if (pread(mem_fd, &spec, sizeof(spec), at) != sizeof(spec) || spec.tv_sec < 0)
		return;
	wait->timeout = TIMEOUT_WHOLE;
	wait->timeout_ns = (uint64_t)spec.tv_sec < UINT64_MAX / NSEC_PER_SEC - 1 ?
		spec.tv_sec * NSEC_PER_SEC + spec.tv_nsec : UINT64_MAX;
}

static void timeout_read(struct criu_wait *wait, const Img__Registers *regs, int mem_fd,
			 enum timeout_at at)
{
	switch (at) {
	case AT_NOWHERE:
		break;
	case AT_MS_DX:
		timeout_ms(wait, regs->dx);
		break;
	case AT_MS_R10:
		timeout_ms(wait, regs->r10);
		break;
	case AT_SPEC_DI:
		/* the kernel has written the time that is left into *si: start again with *si */
		if (regs->si != regs->di)
			timeout_spec(wait, mem_fd, regs->di);
		break;
	case AT_SPEC_DX:
		if (wait->nr == SYS_rt_sigtimedwait || regs->r10 != regs->dx)
			timeout_spec(wait, mem_fd, regs->dx);
		break;
	case AT_SPEC_R10:
		timeout_spec(wait, mem_fd, regs->r10);
		break;
	case AT_FUTEX:
		/* the time-outs of the other operations are absolute */
		if ((regs->si & FUTEX_CMD_MASK) == FUTEX_WAIT)
			timeout_spec(wait, mem_fd, regs->r10);
		break;
	case AT_SOCKET:
		wait->timeout = TIMEOUT_UNKNOWN;
		break;
	}
}

uint64_t criu_signals(const Img__SignalQueue *queue)
{
	uint64_t signals = 0;

	for (size_t i = 0; queue && i < queue->n_signals; i++) {
		const ProtobufCBinaryData *info = &queue->signals[i]->siginfo;
		int32_t nr = 0;

		if (info->len >= sizeof(nr))
			memcpy(&nr, info->data, sizeof(nr));
		if (nr > 0 && nr <= 64)
			signals |= 1UL << (nr - 1);
	}
	return signals;
}

/* In the images the signal mask of the first thread is in another field than the others' masks. */
static bool signal_is_due(const Img__CoreEntry *core, uint64_t shared)
{
	uint64_t blocked = core->tc ? core->tc->blocked : 0, pending = shared;

	if (core->thread_core) {
		pending |= criu_signals(core->thread_core->pending);
		if (core->thread_core->has_blocked)
			blocked = core->thread_core->blocked;
	}
	return pending & ~blocked;
}

static bool is_syscall(int mem_fd, uint64_t ip)
{
	static const uint8_t code[CALL_BYTES] = { 0x0f, 0x05 };
	uint8_t found[CALL_BYTES];

	return pread(mem_fd, found, sizeof(found), ip - CALL_BYTES) == sizeof(found) &&
	       !memcmp(found, code, sizeof(code));
}

/* Return: the registers of a thread whose system call CRIU would let return EINTR; or NULL */
static Img__Registers *interrupted(const Img__CoreEntry *core)
{
	Img__Registers *regs = core->thread_info ? core->thread_info->gpregs : NULL;

	if (!regs || (regs->has_mode && regs->mode != MODE_NATIVE))
		return NULL;
	return (int64_t)regs->orig_ax >= 0 && (int64_t)regs->ax == -EINTR ? regs : NULL;
}

bool criu_wait_find(const Img__CoreEntry *core, uint64_t shared)
{
	return interrupted(core) && !signal_is_due(core, shared);
}

bool criu_wait_repair(Img__CoreEntry *core, struct criu_wait *wait, int mem_fd)
{
	Img__Registers *regs = interrupted(core);
	const struct wait_call *call;

	wait->nr = regs->orig_ax;
	call = find_call(wait->nr);
	if (!call || !is_syscall(mem_fd, regs->ip))
		return false;
	wait->call = call->name;
	wait->restarted = true;
	timeout_read(wait, regs, mem_fd, call->timeout_at);
	regs->ax = regs->orig_ax;
	regs->ip -= CALL_BYTES;
	return true;
}
