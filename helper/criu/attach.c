// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include "criu/attach.h"
#include "os/cgroup_members.h"
#include "os/proc.h"

#define CANCEL_NS	20000000	/* how often wait_stop() looks at @cancel_fd */
#define TRAP_THREADS	4	/* for fewer no breakpoint pays */
#define SYSCALL_STOP	(SIGTRAP | 0x80)

/* EXITKILL: without its tracer CRIU would seize the other tasks without the option */
#define OPTIONS		(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

/* CRIU is the oldest process in the group with a parent outside: all others descend from CRIU. */
pid_t criu_attach_find(const struct cgroup *group, struct error *err)
{
	uint64_t oldest = UINT64_MAX;
	pid_t *pids, criu = 0;
	size_t nr;

	if (cgroup_pids(group, &pids, &nr, err))
		return 0;
	for (size_t i = 0; i < nr; i++) {
		struct proc_status status;
		bool inside = false;

		if (proc_stat_read(pids[i], &status, &(struct error){ 0 }))
			continue;
		for (size_t j = 0; j < nr; j++)
			inside |= pids[j] == status.ppid;
		if (!inside && status.start_ticks < oldest) {
			oldest = status.start_ticks;
			criu = pids[i];
		}
	}
	free(pids);
	if (!criu)
		error_set(err, CODE_CRIU, NULL, "CRIU is not in the control group %s", group->dir);
	return criu;
}

static bool is_cancelled(int cancel_fd)
{
	struct pollfd cancel = { .fd = cancel_fd, .events = POLLIN };

	return poll(&cancel, 1, 0) > 0;
}

static volatile sig_atomic_t look_at_cancel;

static void on_timer(int sig)
{
	look_at_cancel = 1;
}

/* waitpid() has no time-out: a signal of this timer interrupts it. */
static int start_timer(struct criu_attach *attach, struct error *err)
{
	static const struct itimerspec period = {
		.it_interval.tv_nsec = CANCEL_NS, .it_value.tv_nsec = CANCEL_NS,
	};
	struct sigaction action = { .sa_handler = on_timer };
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM,
		._sigev_un._tid = gettid(),
	};
	sigset_t alarms;

	/* the process that started this one may have blocked it */
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	look_at_cancel = 1;
	sigaction(SIGALRM, &action, &attach->old_action);
	pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
	if (!timer_create(CLOCK_MONOTONIC, &event, &attach->timer)) {
		attach->has_timer = true;
		timer_settime(attach->timer, 0, &period, NULL);
		return 0;
	}
	sigaction(SIGALRM, &attach->old_action, NULL);
	return error_errno(err, CODE_INTERNAL, NULL, "cannot make a timer");
}

static void stop_timer(struct criu_attach *attach)
{
	if (!attach->has_timer)
		return;
	attach->has_timer = false;
	timer_delete(attach->timer);
	sigaction(SIGALRM, &attach->old_action, NULL);
}

/*
 * CRIU waits for something. Where it has seized fewer threads than were expected it waits for this helper's answer, and
 * would meet the breakpoint no more: it is stopped, and looked at at each system call from then on.
 */
static void ask_quiet(struct criu_attach *attach)
{
	if (attach->trap.set && attach->quiet)
		ptrace(PTRACE_INTERRUPT, attach->criu, NULL, NULL);
	attach->quiet = true;
}

/* Return: 0 with the status of the stop; 1: CRIU has ended; -1 with @err: the caller cancelled */
static int wait_stop(struct criu_attach *attach, int *status, struct error *err)
{
	for (;;) {
		pid_t pid = waitpid(attach->criu, status, __WALL);

		if (look_at_cancel && is_cancelled(attach->cancel_fd))
			return error_set(err, CODE_ABORTED, NULL, "the restore was given up");
		look_at_cancel = 0;
		if (pid == attach->criu) {
			attach->quiet = false;
			return WIFSTOPPED(*status) ? 0 : 1;
		}
		if (pid < 0 && errno != EINTR)
			return 1;
		ask_quiet(attach);
	}
}

/* The tracer must reap CRIU first: only then the namespace's init learns of CRIU's end. */
static int give_up(const struct criu_attach *attach)
{
	int status;

	kill(attach->criu, SIGKILL);
	while (waitpid(attach->criu, &status, __WALL) == attach->criu && WIFSTOPPED(status))
		;
	return -1;
}

int criu_attach_begin(struct criu_attach *attach, pid_t criu, int cancel_fd, size_t threads, struct error *err)
{
	int status, ret;

	*attach = (struct criu_attach){ .criu = criu, .cancel_fd = cancel_fd, .threads = threads };
	if (!criu || ptrace(PTRACE_SEIZE, criu, NULL, OPTIONS) ||
	    ptrace(PTRACE_INTERRUPT, criu, NULL, NULL))
		return error_errno(err, CODE_CRIU, NULL, "cannot trace CRIU (%d)", criu);
	ret = start_timer(attach, err) ? -1 : wait_stop(attach, &status, err);
	stop_timer(attach);
	if (ret < 0)
		return give_up(attach);
	return ret ? error_set(err, CODE_CRIU, NULL, "CRIU has died") : 0;
}

static int get_regs(const struct criu_attach *attach, struct user_regs_struct *regs, struct error *err)
{
	return !ptrace(PTRACE_GETREGS, attach->criu, NULL, regs) ? 0 :
	       error_errno(err, CODE_CRIU, NULL, "cannot read the registers of CRIU");
}

static int set_regs(const struct criu_attach *attach, const struct user_regs_struct *regs, struct error *err)
{
	return !ptrace(PTRACE_SETREGS, attach->criu, NULL, regs) ? 0 :
	       error_errno(err, CODE_CRIU, NULL, "cannot set the registers of CRIU");
}

/* Of a call of ptrace(): add PTRACE_O_EXITKILL where CRIU begins to trace a task, or sets options. */
static bool amend(struct criu_attach *attach, struct user_regs_struct *regs)
{
	if (regs->rdi == PTRACE_INTERRUPT)
		attach->interrupted++;
	if (regs->rdi != PTRACE_SEIZE && regs->rdi != PTRACE_SETOPTIONS)
		return false;
	attach->seized = true;
	regs->r10 |= PTRACE_O_EXITKILL;
	return true;
}

static int amend_call(struct criu_attach *attach, const struct __ptrace_syscall_info *call,
		      struct error *err)
{
	struct user_regs_struct regs;

	if (call->entry.nr != SYS_ptrace)
		return 0;
	if (get_regs(attach, &regs, err) || (amend(attach, &regs) && set_regs(attach, &regs, err)))
		return -1;
	/* at the first call, of the first thread */
	if (!attach->tried && attach->threads >= TRAP_THREADS)
		attach_trap_set(&attach->trap, attach->criu, call->instruction_pointer);
	attach->tried = true;
	return 0;
}

/* CRIU is about to call ptrace(). The calls of the last thread are looked at one by one, to see what comes behind them. */
static int trap_stop(struct criu_attach *attach, bool *hit, struct error *err)
{
	struct user_regs_struct regs;

	if (get_regs(attach, &regs, err))
		return -1;
	*hit = attach_trap_is_hit(&attach->trap, &regs);
	if (!*hit)
		return 0;
	amend(attach, &regs);
	attach_trap_pass(&attach->trap, &regs);
	if (attach->interrupted + 1 >= attach->threads)
		attach_trap_clear(&attach->trap, attach->criu);
	return set_regs(attach, &regs, err);
}

/* After the last task CRIU wakes the tasks (futex), or sends a message, and waits for the answer: then all are seized. */
static bool is_done(const struct criu_attach *attach, const struct __ptrace_syscall_info *call)
{
	static const unsigned long behind[] = { SYS_futex, SYS_sendto, SYS_sendmsg, SYS_recvfrom, SYS_recvmsg };

	for (size_t i = 0; attach->seized && i < sizeof(behind) / sizeof(*behind); i++)
		if (call->entry.nr == behind[i])
			return true;
	return false;
}

static int syscall_stop(struct criu_attach *attach, bool *done, struct error *err)
{
	struct __ptrace_syscall_info call;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, attach->criu, sizeof(call), &call) < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot see the system calls of CRIU");
	if (call.op != PTRACE_SYSCALL_INFO_ENTRY)
		return 0;
	*done = is_done(attach, &call);
	return amend_call(attach, &call, err);
}

/* Return: request that resumes CRIU after a stop; @signal: signal to deliver */
static enum __ptrace_request resume_by(const struct criu_attach *attach, int status, int *signal)
{
	int sig = WSTOPSIG(status);

	*signal = 0;
	/* a signal stopped CRIU: CRIU stays stopped until SIGCONT */
	if (status >> 16 == PTRACE_EVENT_STOP && sig != SIGTRAP)
		return PTRACE_LISTEN;
	if (status >> 16 != PTRACE_EVENT_STOP && sig != SYSCALL_STOP)
		*signal = sig;
	return attach->trap.set ? PTRACE_CONT : PTRACE_SYSCALL;
}

/* Act on a stop. @status: becomes that of a stop without a signal at the breakpoint; *@done: all tasks are seized */
static int act_on_stop(struct criu_attach *attach, int *status, bool *done, struct error *err)
{
	bool hit = false;

	if (WSTOPSIG(*status) == SYSCALL_STOP)
		return syscall_stop(attach, done, err);
	if (WSTOPSIG(*status) != SIGTRAP)
		return 0;
	/* of ask_quiet() */
	if (*status >> 16 == PTRACE_EVENT_STOP)
		attach_trap_clear(&attach->trap, attach->criu);
	else if (trap_stop(attach, &hit, err))
		return -1;
	if (hit)
		*status = SYSCALL_STOP << 8 | 0x7f;
	return 0;
}

static int run_until_seized(struct criu_attach *attach, struct error *err)
{
	int status = SIGTRAP << 8 | 0x7f | PTRACE_EVENT_STOP << 16, signal, ret;
	bool done = false;

	while (!done) {
		enum __ptrace_request request = resume_by(attach, status, &signal);

		/* when CRIU was killed in its stop this fails, and wait_stop() returns 1 */
		ptrace(request, attach->criu, NULL, (long)signal);
		ret = wait_stop(attach, &status, err);
		if (ret)
			return ret < 0 ? give_up(attach) : 0;
		if (act_on_stop(attach, &status, &done, err))
			return give_up(attach);
	}
	ptrace(PTRACE_DETACH, attach->criu, NULL, NULL);
	return 0;
}

/*
 * CRIU and its tracer take turns, some ten times a thread: to wake another CPU takes longer than all that
 * they do. The tasks have got their own CPUs back.
 */
static void share_cpu(struct criu_attach *attach)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	if (cpu < 0 || cpu >= CPU_SETSIZE ||
	    sched_getaffinity(0, sizeof(attach->own_cpus), &attach->own_cpus) ||
	    sched_getaffinity(attach->criu, sizeof(attach->criu_cpus), &attach->criu_cpus) ||
	    !CPU_ISSET(cpu, &attach->criu_cpus))
		return;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	attach->shares_cpu = !sched_setaffinity(0, sizeof(one), &one);
	if (attach->shares_cpu)
		sched_setaffinity(attach->criu, sizeof(one), &one);
}

static void part_cpus(struct criu_attach *attach)
{
	if (!attach->shares_cpu)
		return;
	attach->shares_cpu = false;
	sched_setaffinity(attach->criu, sizeof(attach->criu_cpus), &attach->criu_cpus);
	sched_setaffinity(0, sizeof(attach->own_cpus), &attach->own_cpus);
}

int criu_attach_run(struct criu_attach *attach, struct error *err)
{
	int ret;

	if (start_timer(attach, err))
		return give_up(attach);
	share_cpu(attach);
	ret = run_until_seized(attach, err);
	part_cpus(attach);
	stop_timer(attach);
	return ret;
}
