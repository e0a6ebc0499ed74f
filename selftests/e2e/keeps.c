// SPDX-License-Identifier: GPL-2.0
/*
 * A program with state that CRIU loses. It notes the state that it has after the move: see keeps.h.
 *
 *	keeps timers FILE	timerfds and interval timers
 *	keeps attributes FILE	attributes of three threads and of the process
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "keeps.h"

#define ALARM_S		5
#define SLACK_MAIN	1234567
#define SLACK_WORKER	7654321
#define IO_PRIORITY	((2 << 13) | 6)		/* best effort, 6 */
#define IO_IDLE		(3 << 13)
#define FILTER_CALL	SYS_prctl

/* timers */

static const int itimers[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static int timerfd_make(int clock, int flags, long value_ms, long interval_ms)
{
	struct itimerspec spec = {
		.it_value = { value_ms / 1000, value_ms % 1000 * 1000000L },
		.it_interval = { interval_ms / 1000, interval_ms % 1000 * 1000000L },
	};
	struct timespec now;
	int fd = timerfd_create(clock, TFD_NONBLOCK);

	if (flags & TFD_TIMER_ABSTIME) {
		clock_gettime(clock, &now);
		spec.it_value.tv_sec += now.tv_sec;
		spec.it_value.tv_nsec = now.tv_nsec;
	}
	if (fd < 0 || timerfd_settime(fd, flags, &spec, NULL))
		err(1, "timerfd");
	return fd;
}

static uint64_t ticks_take(int fd)
{
	uint64_t ticks = 0;

	return read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) ? ticks : 0;
}

static void itimers_arm(void)
{
	struct itimerval once = { .it_value.tv_sec = ALARM_S };

	for (size_t i = 0; i < 3; i++)
		if (setitimer(itimers[i], &once, NULL))
			err(1, "setitimer");
}

/* When a timer is due, on its clock: the clock goes on over the move. */
static long due_ms(int clock, int fd)
{
	struct itimerspec spec;
	struct timespec now;

	clock_gettime(clock, &now);
	if (timerfd_gettime(fd, &spec))
		err(1, "timerfd_gettime");
	return (now.tv_sec + spec.it_value.tv_sec) * 1000 +
	       (now.tv_nsec + spec.it_value.tv_nsec) / 1000000;
}

static bool is_armed(int fd)
{
	struct itimerspec spec;

	return !timerfd_gettime(fd, &spec) && (spec.it_value.tv_sec || spec.it_value.tv_nsec);
}

static void itimers_tell(void)
{
	static const char *const names[] = { "real", "virtual", "prof" };
	struct itimerval now;

	for (size_t i = 0; i < 3; i++) {
		getitimer(itimers[i], &now);
		say("itimer-%s %s", names[i], now.it_interval.tv_sec || now.it_interval.tv_usec ?
		    "periodic" : now.it_value.tv_sec || now.it_value.tv_usec ? "armed" : "lost");
	}
}

static void absolute_tell(const char *name, int clock, int fd, long before_ms)
{
	long late_ms = due_ms(clock, fd) - before_ms;

	if (late_ms < -TICK_MS / 10)
		say("%s early by %ld ms", name, -late_ms);
	else
		say("%s kept", name);
}

static void timers_run(void)
{
	int periodic = timerfd_make(CLOCK_MONOTONIC, 0, 200, 1000);
	int hourly = timerfd_make(CLOCK_MONOTONIC, 0, 200, HOUR_S * 1000L);
	int once = timerfd_make(CLOCK_MONOTONIC, 0, 200, 0);
	int mono = timerfd_make(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, HOUR_S * 1000L, 0);
	int boot = timerfd_make(CLOCK_BOOTTIME, TFD_TIMER_ABSTIME, HOUR_S * 1000L, 0);
	int real = timerfd_make(CLOCK_REALTIME, TFD_TIMER_ABSTIME, 300, HOUR_S * 1000L);
	int far = timerfd_make(CLOCK_REALTIME, TFD_TIMER_ABSTIME, HOUR_S * 1000L, 0);
	long mono_ms = due_ms(CLOCK_MONOTONIC, mono), boot_ms = due_ms(CLOCK_BOOTTIME, boot);
	long far_ms = due_ms(CLOCK_REALTIME, far);
	struct itimerval alarm;
	uint64_t ticks;

	signal(SIGALRM, on_alarm);
	signal(SIGVTALRM, on_alarm);
	signal(SIGPROF, on_alarm);
	pause_ms(500);
	itimers_arm();
	say("ready");
	while (!moved()) {
		itimers_arm();
		pause_ms(TICK_MS);
	}
	itimers_tell();
	absolute_tell("timerfd-monotonic", CLOCK_MONOTONIC, mono, mono_ms);
	absolute_tell("timerfd-boottime", CLOCK_BOOTTIME, boot, boot_ms);
	absolute_tell("timerfd-far", CLOCK_REALTIME, far, far_ms);
	say("timerfd-once %s", ticks_take(once) == 1 ? "readable" : "lost");
	ticks = ticks_take(periodic);
	pause_ms(3000);
	say("timerfd-periodic %s", ticks && ticks_take(periodic) ? "fires" : "lost");
	say("timerfd-hourly %s", ticks_take(hourly) == 1 && is_armed(hourly) ? "armed" : "lost");
	say("timerfd-realtime %s", ticks_take(real) == 1 && is_armed(real) ? "armed" : "lost");
	for (int i = 0; i < 20 * ALARM_S && !alarms; i++)
		pause_ms(TICK_MS);
	getitimer(ITIMER_REAL, &alarm);
	say("alarm %s", alarms != 1 ? "lost" : alarm.it_value.tv_sec ? "armed again" : "fired");
}

/* attributes */

static pthread_barrier_t barrier;

static void status_tell(const char *name, const char *field)
{
	char line[256];
	FILE *file = fopen("/proc/thread-self/status", "r");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			say("%s %s", name, strtok(line + strlen(field), ":\t\n"));
	if (file)
		fclose(file);
}

static void file_tell(const char *name, const char *path)
{
	char line[128] = "";
	FILE *file = fopen(path, "r");

	if (!file || !fgets(line, sizeof(line), file))
		snprintf(line, sizeof(line), "none");
	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = 0;
	say("%s %s", name, strncmp(line, "/autogroup", 10) ? line : strchr(line, ' ') + 1);
}

static void file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		warn("%s", path);
	if (fd >= 0)
		close(fd);
}

/* Only this thread, and after it prctl() fails in it. */
static void filter_set(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		err(1, "seccomp");
}

static void affinity_set(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

static void *worker_body(void *arg)
{
	struct sched_param param = { 0 };

	affinity_set(1);
	prctl(PR_SET_TIMERSLACK, SLACK_WORKER);
	syscall(SYS_ioprio_set, 1, 0, IO_IDLE);
	sched_setscheduler(0, SCHED_BATCH, &param);
	setpriority(PRIO_PROCESS, gettid(), 7);
	filter_set();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	status_tell("worker-affinity", "Cpus_allowed_list:");
	status_tell("worker-no-new-privs", "NoNewPrivs:");
	status_tell("worker-seccomp", "Seccomp:");
	say("worker-io-priority %ld", syscall(SYS_ioprio_get, 1, 0));
	say("worker-policy %d", sched_getscheduler(0));
	say("worker-nice %d", getpriority(PRIO_PROCESS, gettid()));
	pthread_barrier_wait(&barrier);
	return arg;
}

/* struct sched_attr of the kernel */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void scheduling_set(const struct scheduling *scheduling)
{
	if (syscall(SYS_sched_setattr, 0, scheduling, 0))
		err(1, "sched_setattr");
}

static void scheduling_tell(const char *name)
{
	struct scheduling now = { 0 };

	if (syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0))
		err(1, "sched_getattr");
	say("%s policy %u flags %u runtime %u", name, now.policy, (unsigned int)now.flags,
	    (unsigned int)now.runtime);
}

static void *deadline_body(void *arg)
{
	struct scheduling deadline = {
		.size = sizeof(deadline), .policy = 6, .runtime = 2000000, .deadline = 50000000,
		.period = 100000000,
	};

	scheduling_set(&deadline);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	scheduling_tell("deadline");
	pthread_barrier_wait(&barrier);
	return arg;
}

static void ambient_set(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		err(1, "capget");
	data[0].inheritable |= 1 << CAP_NET_BIND_SERVICE;
	if (syscall(SYS_capset, &head, data) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0))
		err(1, "ambient capabilities");
}

static void status_line(const char *field, char *value, size_t size)
{
	char line[256];
	FILE *file = fopen("/proc/thread-self/status", "r");

	*value = 0;
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			snprintf(value, size, "%.60s", line + strlen(field) + 1);
	if (file)
		fclose(file);
	value[strcspn(value, "\n")] = 0;
}

static void attributes_set(void)
{
	struct scheduling reset = { .size = sizeof(reset), .flags = 1, .nice = 3 };

	scheduling_set(&reset);
	ambient_set();
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0);
	prctl(PR_SET_TIMERSLACK, SLACK_MAIN);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY);
	file_put("/proc/self/coredump_filter", "0x7f");
	file_put("/proc/self/autogroup", "5");
	file_put("/proc/self/loginuid", "4242");
}

static void attributes_tell(pid_t worker, const char *store_bypass)
{
	char path[64], now[80];

	status_tell("affinity", "Cpus_allowed_list:");
	status_tell("no-new-privs", "NoNewPrivs:");
	status_tell("thp", "THP_enabled:");
	say("timer-slack %d", prctl(PR_GET_TIMERSLACK));
	snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", worker);
	file_tell("worker-timer-slack", path);
	say("io-priority %ld", syscall(SYS_ioprio_get, 1, 0));
	say("nice %d", getpriority(PRIO_PROCESS, 0));
	file_tell("coredump-filter", "/proc/self/coredump_filter");
	file_tell("autogroup", "/proc/self/autogroup");
	file_tell("loginuid", "/proc/self/loginuid");
	file_tell("oom-score-adj", "/proc/self/oom_score_adj");
	scheduling_tell("scheduling");
	status_tell("ambient", "CapAmb:");
	say("io-flusher %d", prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	status_line("Speculation_Store_Bypass:", now, sizeof(now));
	if (strcmp(now, store_bypass))
		say("store-bypass %s, not %s", now, store_bypass);
	else
		say("store-bypass kept");
}

static pid_t worker_tid;

static void *worker_start(void *arg)
{
	worker_tid = gettid();
	return worker_body(arg);
}

static void attributes_run(void)
{
	char store_bypass[80];
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 3);
	if (pthread_create(&thread, NULL, worker_start, NULL) ||
	    pthread_create(&thread, NULL, deadline_body, NULL))
		errx(1, "pthread_create");
	pthread_barrier_wait(&barrier);
	attributes_set();
	status_line("Speculation_Store_Bypass:", store_bypass, sizeof(store_bypass));
	warnx("store bypass: %s", store_bypass);
	say("ready");
	while (!moved())
		pause_ms(TICK_MS);
	/* it leaves the group in which it was frozen; for a moment it has no affinity then */
	pause_ms(1000);
	attributes_tell(worker_tid, store_bypass);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: keeps timers|attributes FILE");
	report_path = argv[2];
	first_ns = pid_ns();
	if (!strcmp(argv[1], "timers"))
		timers_run();
	else if (!strcmp(argv[1], "attributes"))
		attributes_run();
	else
		errx(2, "no mode %s", argv[1]);
	say("end");
	for (;;)
		pause_ms(HOUR_S * 1000);
}
