// SPDX-License-Identifier: GPL-2.0
/*
 * A program with state that a move can lose.
 *
 *	lossy PIDFILE THING[=ARGUMENT]...
 *
 * It sets up each thing, writes its pid to PIDFILE and waits. On SIGUSR1 it opens the file of
 * "late", or maps huge pages ("late-hugetlb[=shared]"). On SIGUSR2 it accepts one connection of "listener"
 * and answers with a word. On SIGHUP it writes a line to its standard output and to each of its
 * servers.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/mempolicy.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER	57
#endif

static const char *pid_path, *late_path;
static int listener = -1;
static int servers[4], nr_servers;
static volatile sig_atomic_t got_usr1, got_usr2, got_hup;

static void must(long ret, const char *what)
{
	if (ret < 0)
		err(1, "%s", what);
}

static void own_pipe(const char *arg)
{
	int fds[2];

	must(pipe(fds), "pipe");
	must(write(fds[1], "x", 1), "write");
}

static void fifo(const char *arg)
{
	must(open(arg, O_WRONLY), arg);
}

/* Go on in a child, while the parent keeps all that it has but @fd. */
static void leave_parent(int fd)
{
	pid_t pid = fork();

	must(pid, "fork");
	if (pid) {
		close(fd);
		for (;;)
			pause();
	}
	must(setsid(), "setsid");
}

/* The other end is in the parent. */
static void outer_pair(const char *arg)
{
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair");
	leave_parent(fds[0]);
	close(fds[1]);
}

static int connect_unix(const char *path, int type)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	must(fd, "socket");
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	must(connect(fd, (void *)&addr, sizeof(addr)), path);
	return fd;
}

static void stream_server(const char *arg)
{
	servers[nr_servers++] = connect_unix(arg, SOCK_STREAM);
}

static void datagram_server(const char *arg)
{
	servers[nr_servers++] = connect_unix(arg, SOCK_DGRAM);
}

/* As systemd connects a unit's output. */
static void journal(const char *arg)
{
	static const char header[] = "the-unit\nlossy.service\n5\n1\n0\n0\n0\n";
	int fd = connect_unix("/run/systemd/journal/stdout", SOCK_STREAM);

	must(shutdown(fd, SHUT_RD), "shutdown");
	must(write(fd, header, strlen(header)), "write");
	must(dup2(fd, 1), "dup2");
	close(fd);
}

/* Both ends of a pty; with an argument it is the controlling terminal, too. */
static void own_pty(const char *arg)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

	must(master, "posix_openpt");
	must(grantpt(master), "grantpt");
	must(unlockpt(master), "unlockpt");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	must(slave, "slave");
	if (arg)
		must(ioctl(slave, TIOCSCTTY, 0), "TIOCSCTTY");
	servers[nr_servers++] = slave;
}

static void *shared_page(void)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		err(1, "mmap");
	return map;
}

static void own_memory(const char *arg)
{
	shared_page();
}

static void shared_memory(const char *arg)
{
	shared_page();
	leave_parent(-1);
}

/* The parent has it open and not mapped, the program has it mapped and not open. */
static void shared_memfd(const char *arg)
{
	int fd = memfd_create("lossy", 0);

	must(fd, "memfd_create");
	must(ftruncate(fd, 4096), "ftruncate");
	leave_parent(-1);
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
		err(1, "mmap");
	close(fd);
}

/* The parent stays in the namespace of the program. */
static void shared_ipc(const char *arg)
{
	must(unshare(CLONE_NEWIPC), "unshare");
	leave_parent(-1);
}

static void inner_pair(const char *arg)
{
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair");
}

static void file(const char *arg)
{
	must(open(arg, O_RDWR | O_CREAT, 0600), arg);
}

static void appended(const char *arg)
{
	int fd = open(arg, O_WRONLY | O_CREAT | O_APPEND, 0600);

	must(fd, arg);
	must(write(fd, "line\n", 5), arg);
}

static void open_only(const char *arg)
{
	must(open(arg, O_RDONLY | O_NONBLOCK), arg);
}

static void cwd(const char *arg)
{
	must(chdir(arg), arg);
}

static void own_chroot(const char *arg)
{
	must(chroot(arg), arg);
	must(chdir("/"), "chdir");
}

static void pidfd(const char *arg)
{
	must(syscall(SYS_pidfd_open, arg ? getppid() : getpid(), 0), "pidfd_open");
}

static void perf(const char *arg)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY,
	};

	must(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0), "perf_event_open");
}

static void landlock(const char *arg)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE };

	must(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), "landlock");
}

static void device(const char *arg)
{
	must(open(arg, O_RDWR | O_NONBLOCK), arg);
}

static void other_socket(const char *arg)
{
	must(socket(atoi(arg), SOCK_STREAM, 0), "socket");
}

/* A deleted file of so many MiB. */
static void big_ghost(const char *arg)
{
	static char mib[1 << 20];
	int fd = open("/dev/shm/big", O_RDWR | O_CREAT, 0600);

	must(fd, "/dev/shm/big");
	for (int i = atoi(arg); i > 0; i--)
		must(write(fd, mib, sizeof(mib)), "write");
	must(unlink("/dev/shm/big"), "unlink");
}

/* The file that is open, or mapped, has the name @arg.2 alone. */
static void leave_name(const char *arg)
{
	char path[128];

	snprintf(path, sizeof(path), "%s.2", arg);
	unlink(path);
	must(link(arg, path), path);
	must(unlink(arg), arg);
}

static void other_name(const char *arg)
{
	file(arg);
	leave_name(arg);
}

static void open_other_name(const char *arg)
{
	open_only(arg);
	leave_name(arg);
}

/* Privately, and not open. */
static void mapped_other_name(const char *arg)
{
	int fd = open(arg, O_RDONLY);

	must(fd, arg);
	if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		err(1, "mmap");
	close(fd);
	leave_name(arg);
}

/* The name that is left is in another directory. */
static void far_name(const char *arg)
{
	char path[128];

	file(arg);
	snprintf(path, sizeof(path), "%s.d", arg);
	mkdir(path, 0700);
	strncat(path, "/far", sizeof(path) - strlen(path) - 1);
	unlink(path);
	must(link(arg, path), path);
	must(unlink(arg), arg);
}

static void unmounted(const char *arg)
{
	char path[128];

	must(mount("none", arg, "tmpfs", 0, NULL), arg);
	snprintf(path, sizeof(path), "%s/file", arg);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	open_only(path);
	must(umount2(arg, MNT_DETACH), arg);
}

static void late(const char *arg)
{
	late_path = arg;
}

/* Read-only now, and still it can be made writable. */
static void mapped(const char *arg)
{
	int fd = open(arg, O_RDWR | O_CREAT, 0600);

	must(fd, arg);
	must(ftruncate(fd, 4096), arg);
	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		err(1, "mmap");
	close(fd);
}

static void ghost(const char *arg)
{
	int fd = open(arg, O_RDWR | O_CREAT, 0600);

	must(fd, arg);
	must(fsetxattr(fd, "trusted.lossy", "1", 1, 0), "fsetxattr");
	must(unlink(arg), arg);
}

#define HUGE	(2UL << 20)

static char *huge[3];

static void hugetlb(const char *arg)
{
	for (int i = 0; i < 3; i++) {
		huge[i] = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
			       (arg ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		if (huge[i] == MAP_FAILED)
			err(1, "mmap of a huge page");
		for (size_t at = 0; at < HUGE; at += 512)
			huge[i][at] = at / 512 + i + 1;
		/* so that they do not become one mapping */
		must(mprotect(huge[i], HUGE, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE),
		     "mprotect");
	}
}

/* Once: it leaves another byte, to see that the pages can be written to. */
static bool huge_pages_are_right(void)
{
	for (int i = 0; i < 3 && huge[i]; i++)
		for (size_t at = 0; at < HUGE; at++)
			if (huge[i][at] != (at % 512 ? 0 : (char)(at / 512 + i + 1)))
				return false;
	if (huge[0])
		huge[0][0]++;
	return true;
}

static bool huge_is_late;
static const char *late_huge;

static void late_hugetlb(const char *arg)
{
	huge_is_late = true;
	late_huge = arg;
}

static void child(const char *arg)
{
	pid_t pid = fork();

	must(pid, "fork");
	while (!pid)
		pause();
}

static void write_pid(void)
{
	FILE *pid_file = fopen(pid_path, "w");

	if (!pid_file)
		err(1, "%s", pid_path);
	fprintf(pid_file, "%d\n", getpid());
	fclose(pid_file);
}

static void *without_main(void *arg)
{
	char line[64] = "";

	while (!strstr(line, ") Z ")) {
		FILE *stat = fopen("/proc/self/stat", "r");

		if (!stat || !fgets(line, sizeof(line), stat))
			err(1, "/proc/self/stat");
		fclose(stat);
	}
	write_pid();
	for (;;)
		pause();
}

/* The rest of the program runs in another thread. */
static void main_ended(const char *arg)
{
	pthread_t thread;

	must(-pthread_create(&thread, NULL, without_main, NULL), "pthread_create");
	syscall(SYS_exit, 0);
}

static void queue(const char *arg)
{
	must(mq_open(arg, O_RDWR | O_CREAT, 0600, NULL), arg);
}

static void listen_on(const char *arg)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(arg)) };
	int one = 1;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(listener, "socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(listener, (void *)&addr, sizeof(addr)), "bind");
	must(listen(listener, 2), "listen");
}

/* ADDRESS:PORT, of datagrams. */
static void bound(const char *arg)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	char text[32];
	int port, fd;

	if (sscanf(arg, "%31[^:]:%d", text, &port) != 2 || !inet_aton(text, &addr.sin_addr))
		errx(2, "bound: %s", arg);
	addr.sin_port = htons(port);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(bind(fd, (void *)&addr, sizeof(addr)), arg);
}

static int connect_at(struct in_addr at)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(getsockname(listener, (void *)&addr, &len), "getsockname");
	addr.sin_addr = at;
	must(connect(fd, (void *)&addr, sizeof(addr)), "connect");
	return fd;
}

static int connect_self(void)
{
	return connect_at((struct in_addr){ htonl(INADDR_LOOPBACK) });
}

/* One end FIN_WAIT2, the other CLOSE_WAIT; and one, at the address @arg, whose peer has reset it. */
static void half_closed(const char *arg)
{
	struct linger linger = { .l_onoff = 1 };
	int fd = connect_self();
	struct in_addr at;

	must(accept(listener, NULL, NULL), "accept");
	must(shutdown(fd, SHUT_WR), "shutdown");
	if (!inet_aton(arg, &at))
		errx(2, "half-closed: %s", arg);
	fd = connect_at(at);
	must(accept(listener, NULL, NULL), "accept");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void in_flight(const char *arg)
{
	for (int i = atoi(arg); i > 0; i--)
		connect_self();
}

static void datagram(const char *arg)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(bind(fd, (void *)&addr, sizeof(addr)), "bind");
	must(getsockname(fd, (void *)&addr, &len), "getsockname");
	must(sendto(fd, "x", 1, 0, (void *)&addr, len), "sendto");
}

/* An option that each accepted connection inherits, and one of a string. */
static void options(const char *arg)
{
	int one = 1;

	must(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
	must(setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), "TCP_CONGESTION");
}

static void events(const char *arg)
{
	int fd = inotify_init(), touched;
	char path[128];

	must(inotify_add_watch(fd, arg, IN_CREATE), arg);
	snprintf(path, sizeof(path), "%s/event", arg);
	touched = open(path, O_WRONLY | O_CREAT, 0600);
	must(touched, path);
	close(touched);
}

static void *one_page(void)
{
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		err(1, "mmap");
	*(char *)map = 1;
	return map;
}

static void policy(const char *arg)
{
	unsigned long nodes = 1;

	must(syscall(SYS_mbind, one_page(), 4096, MPOL_BIND, &nodes, 64, 0), "mbind");
}

static void wipe(const char *arg)
{
	must(madvise(one_page(), 4096, MADV_WIPEONFORK), "madvise");
}

static void lock_all(const char *arg)
{
	must(mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
}

static void prctls(const char *arg)
{
	must(prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0), "PR_SET_IO_FLUSHER");
	must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0), "PR_MCE_KILL");
}

static void ambient(const char *arg)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	must(syscall(SYS_capget, &head, data), "capget");
	data[0].inheritable |= 1U << CAP_NET_RAW;
	must(syscall(SYS_capset, &head, data), "capset");
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), "PR_CAP_AMBIENT");
}

static void audit(const char *arg)
{
	int fd = open("/proc/self/loginuid", O_WRONLY);

	must(fd, "loginuid");
	must(write(fd, "1000", 4), "loginuid");
	close(fd);
}

static const struct {
	const char *name;
	void (*set)(const char *arg);
} things[] = {
	{ "own-pipe", own_pipe }, { "fifo", fifo }, { "outer-pair", outer_pair },
	{ "inner-pair", inner_pair }, { "own-memory", own_memory },
	{ "shared-memory", shared_memory }, { "shared-memfd", shared_memfd }, { "shared-ipc", shared_ipc }, { "file", file }, { "appended", appended },
	{ "late", late }, { "mapped", mapped }, { "ghost", ghost }, { "hugetlb", hugetlb }, { "late-hugetlb", late_hugetlb },
	{ "child", child }, { "main-ended", main_ended }, { "queue", queue }, { "listener", listen_on }, { "half-closed", half_closed },
	{ "in-flight", in_flight }, { "datagram", datagram }, { "options", options }, { "events", events },
	{ "policy", policy }, { "wipe", wipe }, { "lock-all", lock_all }, { "prctls", prctls },
	{ "ambient", ambient }, { "audit", audit }, { "stream", stream_server },
	{ "chroot", own_chroot }, { "bound", bound }, { "pidfd", pidfd }, { "perf", perf }, { "landlock", landlock },
	{ "device", device }, { "socket", other_socket }, { "big-ghost", big_ghost },
	{ "other-name", other_name }, { "open-other-name", open_other_name },
	{ "mapped-other-name", mapped_other_name }, { "far-name", far_name }, { "unmounted", unmounted }, { "open", open_only }, { "cwd", cwd }, { "datagrams", datagram_server }, { "journal", journal }, { "pty", own_pty },
};

static void set_thing(char *text)
{
	char *arg = strchr(text, '=');

	if (arg)
		*arg++ = 0;
	for (size_t i = 0; i < sizeof(things) / sizeof(*things); i++)
		if (!strcmp(things[i].name, text)) {
			things[i].set(arg);
			return;
		}
	errx(2, "unknown thing: %s", text);
}

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		got_usr1 = 1;
	else if (sig == SIGHUP)
		got_hup = 1;
	else
		got_usr2 = 1;
}

static void serve_one(void)
{
	int fd = accept(listener, NULL, NULL);

	must(fd, "accept");
	must(write(fd, "moved\n", 6), "write");
	close(fd);
}

/* Whatever became of a descriptor, the program goes on. */
static void say(void)
{
	const char *line = huge_pages_are_right() ? "still here\n" : "huge pages are wrong\n";

	if (write(1, line, strlen(line)) < 0)
		warn("standard output");
	for (int i = 0; i < nr_servers; i++)
		if (write(servers[i], line, strlen(line)) < 0)
			warn("server %d", i);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: lossy PIDFILE THING[=ARGUMENT]...");
	pid_path = argv[1];
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	signal(SIGHUP, on_signal);
	for (int i = 2; i < argc; i++)
		set_thing(argv[i]);
	/* its errors may have gone to a file that is open for writing */
	dup2(open("/dev/null", O_WRONLY), 2);
	write_pid();
	for (;;) {
		pause();
		if (got_usr1 && huge_is_late)
			hugetlb(late_huge);
		else if (got_usr1)
			file(late_path);
		if (got_usr2)
			serve_one();
		if (got_hup)
			say();
		got_usr1 = got_usr2 = got_hup = 0;
	}
}
