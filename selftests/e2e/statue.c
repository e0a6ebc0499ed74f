// SPDX-License-Identifier: GPL-2.0
/*
 * A program with much of the state that CRIU touches in a dump. The program itself never changes
 * it.
 *
 *	statue stand PORT DIR	listens on PORT for clients that ask for its own view, keeps a
 *				connection to PORT + 1, opens files in DIR
 *	statue peer PORT	accepts one connection on PORT, sends a word, reads nothing
 *	statue ask PORT		prints the view of the program itself
 *	statue look PID		prints each descriptor of PID, and the state of each socket
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HOUR	3600

static timer_t timer;
static int pair[2];

static struct sockaddr_in at_port(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int listen_on(int port)
{
	struct sockaddr_in at = at_port(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		err(1, "port %d", port);
	return fd;
}

static int connect_to(int port)
{
	struct sockaddr_in at = at_port(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		err(1, "connect to %d", port);
	return fd;
}

static void on_term(int sig)
{
	_exit(sig);
}

static void signals_make(void)
{
	sigset_t set;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGTERM, on_term);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR2);
	sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 77 });
}

static void timers_make(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 };
	struct itimerspec spec = { { HOUR, 5 }, { HOUR, 0 } };
	struct itimerval often = { { HOUR, 7 }, { HOUR, 0 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &spec, NULL) ||
	    timerfd_settime(fd, 0, &spec, NULL) || setitimer(ITIMER_REAL, &often, NULL))
		err(1, "timers");
}

static void sockets_make(int port)
{
	int fd = connect_to(port + 1), one = 1, size = 65536;
	struct sockaddr_in at = at_port(port + 2);

	/* the peer reads nothing, and nobody reads its word here: both queues are full of it */
	if (write(fd, "unread\n", 7) != 7)
		err(1, "peer");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err(1, "udp");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || write(pair[0], "queued", 6) != 6)
		err(1, "socketpair");
}

static void files_make(const char *dir)
{
	char path[256], name[256];
	int fd, ends[2];

	snprintf(path, sizeof(path), "%s/text", dir);
	snprintf(name, sizeof(name), "%s/other-name", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	if (fd < 0 || write(fd, "some text\n", 10) != 10 || (link(path, name) && errno != EEXIST))
		err(1, "%s", path);
	close(fd);
	fd = open(path, O_RDONLY);
	lseek(fd, 5, SEEK_SET);
	if (pipe2(ends, O_NONBLOCK) || write(ends[1], "in the pipe", 11) != 11)
		err(1, "pipe");
}

static void filter_make(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { .len = 1, .filter = &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		err(1, "seccomp");
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void tell(int fd)
{
	struct itimerval often;
	struct itimerspec spec;
	char word[16] = "";
	sigset_t set;

	getitimer(ITIMER_REAL, &often);
	timer_gettime(timer, &spec);
	dprintf(fd, "itimer every %ld.%06ld, left %d\n", often.it_interval.tv_sec,
		often.it_interval.tv_usec, often.it_value.tv_sec > 0);
	dprintf(fd, "timer every %ld.%09ld, left %d\n", spec.it_interval.tv_sec,
		spec.it_interval.tv_nsec, spec.it_value.tv_sec > 0);
	sigprocmask(SIG_SETMASK, NULL, &set);
	dprintf(fd, "blocked:");
	for (int sig = 1; sig < NSIG; sig++)
		dprintf(fd, sigismember(&set, sig) == 1 ? " %d" : "", sig);
	sigpending(&set);
	dprintf(fd, "\npending:");
	for (int sig = 1; sig < NSIG; sig++)
		dprintf(fd, sigismember(&set, sig) == 1 ? " %d" : "", sig);
	recv(pair[1], word, sizeof(word) - 1, MSG_PEEK);
	dprintf(fd, "\nin the socket pair: %s\nseccomp %d nnp %d\n", word,
		prctl(PR_GET_SECCOMP), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static void stand(int port, const char *dir)
{
	int listener = listen_on(port);
	pthread_t thread;

	personality(ADDR_NO_RANDOMIZE);
	signals_make();
	timers_make();
	sockets_make(port);
	files_make(dir);
	pthread_create(&thread, NULL, sleeper, NULL);
	setpriority(PRIO_PROCESS, 0, 3);
	filter_make();
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		tell(fd);
		close(fd);
	}
}

static void peer(int port)
{
	int fd = accept(listen_on(port), NULL, NULL);

	if (fd < 0 || write(fd, "hello\n", 6) != 6)
		err(1, "accept");
	for (;;)
		pause();
}

static void ask(int port)
{
	int fd = connect_to(port);
	char text[1024];
	ssize_t n;

	while ((n = read(fd, text, sizeof(text))) > 0)
		if (write(1, text, n) != n)
			err(1, "write");
}

static const struct {
	const char *name;
	int level, option;
} options[] = {
	{ "type", SOL_SOCKET, SO_TYPE }, { "reuseaddr", SOL_SOCKET, SO_REUSEADDR },
	{ "reuseport", SOL_SOCKET, SO_REUSEPORT }, { "peek_off", SOL_SOCKET, SO_PEEK_OFF },
	{ "sndbuf", SOL_SOCKET, SO_SNDBUF }, { "rcvbuf", SOL_SOCKET, SO_RCVBUF },
	{ "keepalive", SOL_SOCKET, SO_KEEPALIVE }, { "priority", SOL_SOCKET, SO_PRIORITY },
	{ "mark", SOL_SOCKET, SO_MARK }, { "passcred", SOL_SOCKET, SO_PASSCRED },
	{ "dontroute", SOL_SOCKET, SO_DONTROUTE }, { "error", SOL_SOCKET, SO_ERROR },
	{ "transparent", SOL_IP, IP_TRANSPARENT }, { "freebind", SOL_IP, IP_FREEBIND },
	{ "tcp_repair", SOL_TCP, TCP_REPAIR }, { "tcp_queue", SOL_TCP, TCP_REPAIR_QUEUE },
	{ "nodelay", SOL_TCP, TCP_NODELAY }, { "cork", SOL_TCP, TCP_CORK },
};

static void look_socket(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t bytes = sizeof(info);
	int value = -1;

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		socklen_t size = sizeof(int);

		value = -1;
		if (!getsockopt(fd, options[i].level, options[i].option, &value, &size))
			printf(" %s %d", options[i].name, value);
		else
			printf(" %s %s", options[i].name, strerrorname_np(errno));
	}
	if (!getsockopt(fd, SOL_TCP, TCP_INFO, &info, &bytes))
		printf(" state %d", info.tcpi_state);
	if (!ioctl(fd, FIONREAD, &value))
		printf(" in %d", value);
	if (!ioctl(fd, TIOCOUTQ, &value))
		printf(" out %d", value);
}

static void look(pid_t pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	char path[64], link[256];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (pidfd < 0 || !dir)
		err(1, "process %d", pid);
	while ((entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		int fd;

		if (n < 0)
			continue;
		link[n] = 0;
		fd = syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
		if (fd < 0)
			err(1, "descriptor %s of %d", entry->d_name, pid);
		printf("%s %s flags %o", entry->d_name, link, fcntl(fd, F_GETFL));
		if (!strncmp(link, "socket:", 7))
			look_socket(fd);
		printf("\n");
		close(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "stand"))
		stand(atoi(argv[2]), argv[3]);
	if (argc != 3)
		errx(2, "usage: see the source");
	if (!strcmp(argv[1], "peer"))
		peer(atoi(argv[2]));
	if (!strcmp(argv[1], "ask"))
		ask(atoi(argv[2]));
	if (!strcmp(argv[1], "look"))
		look(atoi(argv[2]));
	return 0;
}
