// SPDX-License-Identifier: GPL-2.0
/*
 * What a page by itself costs while others are pushed: one connection carries MIB of memory by sendfile(2) into a place that
 * UFFDIO_COPY takes them from, and on a second one a page is asked for, answered and put in its place by UFFDIO_COPY, one after the other, until
 * the first has ended.
 *
 *	fault_round_trips serve PORT MIB	(the end that has the pages)
 *	fault_round_trips fetch HOST PORT MIB	prints: pages N p50_ns N p99_ns N push_ms N
 *	fault_round_trips push HOST PORT MIB	no page is asked for
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096UL
#define PIECE	(1UL << 20)
#define ASK	16	/* bytes */

static size_t bytes;
static atomic_bool pushed;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void recv_all(int fd, void *to, size_t nr)
{
	for (size_t done = 0; done < nr;) {
		ssize_t n = recv(fd, (char *)to + done, nr - done, 0);

		if (n <= 0)
			err(1, "recv");
		done += n;
	}
}

static int memory(void)
{
	static char piece[PIECE];
	int fd = memfd_create("pages", 0);

	memset(piece, 0x5a, sizeof(piece));
	for (size_t i = 0; i < bytes; i += PIECE)
		if (write(fd, piece, PIECE) != (ssize_t)PIECE)
			err(1, "write");
	return fd;
}

static void *push(void *arg)
{
	int *fds = arg;
	off_t at = 0;

	while ((size_t)at < bytes)
		if (sendfile(fds[0], fds[1], &at, bytes - at) <= 0)
			err(1, "sendfile");
	return NULL;
}

static void nodelay(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void serve(int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1, fds[2], urgent;
	char ask[ASK], *page = calloc(1, PAGE);
	pthread_t thread;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (void *)&any, sizeof(any)) || listen(listener, 2))
		err(1, "port %d", port);
	fds[1] = memory();
	fds[0] = accept(listener, NULL, NULL);
	urgent = accept(listener, NULL, NULL);
	nodelay(urgent);
	if (pthread_create(&thread, NULL, push, fds))
		err(1, "pthread_create");
	while (recv(urgent, ask, ASK, MSG_WAITALL) == ASK)
		if (send(urgent, page, PAGE, 0) != (ssize_t)PAGE)
			break;
	pthread_join(thread, NULL);
}

/** struct place - where pages are put: @at, of twice @bytes: the second half is for those that are asked for */
struct place {
	int uffd;
	char *at;
};

static struct place make_place(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct place place = { .uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY) };

	place.at = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	madvise(place.at, 2 * bytes, MADV_NOHUGEPAGE);
	reg.range.start = (uintptr_t)place.at;
	reg.range.len = 2 * bytes;
	if (place.uffd < 0 || place.at == MAP_FAILED || ioctl(place.uffd, UFFDIO_API, &api) ||
	    ioctl(place.uffd, UFFDIO_REGISTER, &reg))
		err(1, "userfaultfd");
	return place;
}

static void put(const struct place *place, size_t offset, const void *from, size_t nr)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)place->at + offset, .src = (uintptr_t)from, .len = nr,
	};

	if (ioctl(place->uffd, UFFDIO_COPY, &copy))
		err(1, "UFFDIO_COPY");
}

static struct place the_place;

static void *take(void *arg)
{
	char *piece = aligned_alloc(PAGE, PIECE);

	for (size_t i = 0; i < bytes; i += PIECE) {
		recv_all(*(int *)arg, piece, PIECE);
		put(&the_place, i, piece, PIECE);
	}
	atomic_store(&pushed, true);
	return NULL;
}

static int call(const char *host, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, host, &to.sin_addr);
	if (connect(fd, (void *)&to, sizeof(to)))
		err(1, "%s:%d", host, port);
	return fd;
}

static int compare(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (one > other) - (one < other);
}

static void fetch(const char *host, int port, bool asks)
{
	size_t most = bytes / PAGE, nr = 0;
	uint64_t *times = calloc(most, sizeof(*times)), begin, start;
	char *page = aligned_alloc(PAGE, PAGE);
	const char ask[ASK] = "page";
	int memory_fd, urgent;
	pthread_t thread;

	the_place = make_place();
	memory_fd = call(host, port);
	urgent = call(host, port);
	nodelay(urgent);
	begin = now_ns();
	if (pthread_create(&thread, NULL, take, &memory_fd))
		err(1, "pthread_create");
	while (asks && !atomic_load(&pushed) && nr < most) {
		start = now_ns();
		if (send(urgent, ask, ASK, 0) != ASK)
			err(1, "send");
		recv_all(urgent, page, PAGE);
		put(&the_place, bytes + nr * PAGE, page, PAGE);
		times[nr++] = now_ns() - start;
	}
	if (!asks)
		times[nr++] = 0;
	pthread_join(thread, NULL);
	start = now_ns();
	qsort(times, nr, sizeof(*times), compare);
	printf("pages %zu p50_ns %lu p99_ns %lu push_ms %lu\n", nr, times[nr / 2], times[nr * 99 / 100],
	       (start - begin) / 1000000);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "serve")) {
		bytes = strtoul(argv[3], NULL, 10) << 20;
		serve(atoi(argv[2]));
	} else if (argc == 5 && (!strcmp(argv[1], "fetch") || !strcmp(argv[1], "push"))) {
		bytes = strtoul(argv[4], NULL, 10) << 20;
		fetch(argv[2], atoi(argv[3]), argv[1][0] == 'f');
	} else {
		errx(2, "usage: fault_round_trips serve PORT MIB, or fetch|push HOST PORT MIB");
	}
	return 0;
}
