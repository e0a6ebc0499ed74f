// SPDX-License-Identifier: GPL-2.0
/*
 * A link between two network namespaces, with the faults of a long one: IPv4 and IPv6 packets that a TUN device
 * of one namespace gets come out of the TUN device of the other one, later, at a limited rate, or never.
 *
 *	tun_relay [OPTION]... NAMESPACE NAMESPACE FIFO
 *	--delay MS	there and back; half of it each way
 *	--loss PERCENT	of the packets each way, chosen by --seed
 *	--seed N	printed; without it one is made
 *	--rate BYTES	a second each way
 *	--mtu BYTES	of both devices
 *
 * "-" is the namespace of the caller. Each device is called wan0; the caller gives it addresses. The relay prints a line when both are
 * there. A line "cut MS" in FIFO lets no packet through for MS, "stats" prints what went through and what was lost.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define DEVICE		"wan0"
#define QUEUE_PACKETS	65536U		/* 100 ms of the smallest packets at 600,000 a second */
#define QUEUE_MIN	(64U << 10)	/* bytes that wait for a slow link's turn at most, or more: */
#define QUEUE_MS	250U		/* what the link takes in so long */
#define DEVICE_PACKETS	20000		/* that wait for the relay */
#define BATCH		64		/* packets from one side before it is the other one's turn */
#define ALL_LOSS	1000000U

/** struct packet - on its way: it comes out at @due_ns */
struct packet {
	uint64_t due_ns;
	uint32_t bytes;
	void *data;
};

/**
 * struct way - one direction
 * @queue: packets on their way, a ring from @head on
 * @free_ns: the link has passed on by then what came in before
 * @random: state of the generator that says which packets are lost
 */
struct way {
	int from, to;
	struct packet *queue;
	uint32_t head, nr;
	uint64_t free_ns, random, passed, lost, bytes;
};

/** struct relay - @delay_ns: one way; @loss: packets of ALL_LOSS; @rate: bytes a second, 0: any */
struct relay {
	struct way ways[2];
	uint64_t delay_ns, rate, cut_until_ns, seed;
	uint32_t loss, mtu;
	int fifo;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dUL;
}

static void enter(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "network namespace %s", name);
	close(fd);
}

/* Up before it is told its MTU, it would send what is larger than the MTU. */
static void device_up(const struct relay *relay)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { 0 };

	strcpy(req.ifr_name, DEVICE);
	req.ifr_mtu = relay->mtu;
	if (sock < 0 || ioctl(sock, SIOCSIFMTU, &req))
		err(1, "MTU of %u", relay->mtu);
	req.ifr_qlen = DEVICE_PACKETS;
	if (ioctl(sock, SIOCSIFTXQLEN, &req) || ioctl(sock, SIOCGIFFLAGS, &req))
		err(1, "%s", DEVICE);
	req.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(sock, SIOCSIFFLAGS, &req))
		err(1, "%s", DEVICE);
	close(sock);
}

static int device_make(const struct relay *relay, const char *name)
{
	struct ifreq req = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	if (strcmp(name, "-"))
		enter(name);
	/* the device is made in the namespace in which this was opened */
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (home < 0 || fd < 0)
		err(1, "/dev/net/tun");
	strcpy(req.ifr_name, DEVICE);
	if (ioctl(fd, TUNSETIFF, &req))
		err(1, "TUN device in %s", name);
	device_up(relay);
	if (setns(home, CLONE_NEWNET))
		err(1, "setns");
	close(home);
	return fd;
}

/* The link passes packets on one after the other; those for which its queue has no room are lost. */
static bool is_taken(const struct relay *relay, struct way *way, uint32_t bytes, uint64_t now, uint64_t *due)
{
	uint64_t queued;

	if (now < relay->cut_until_ns || way->nr == QUEUE_PACKETS)
		return false;
	if (random_next(&way->random) % ALL_LOSS < relay->loss)
		return false;
	if (!relay->rate) {
		*due = now + relay->delay_ns;
		return true;
	}
	if (way->free_ns < now)
		way->free_ns = now;
	queued = (way->free_ns - now) * relay->rate / 1000000000UL;
	if (queued > QUEUE_MIN && queued > relay->rate * QUEUE_MS / 1000)
		return false;
	way->free_ns += bytes * 1000000000UL / relay->rate;
	*due = way->free_ns + relay->delay_ns;
	return true;
}

static void way_read(const struct relay *relay, struct way *way)
{
	static char buf[65536];
	struct packet *packet;
	uint64_t due;

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = read(way->from, buf, sizeof(buf));

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			err(1, "read of a TUN device");
		if (!is_taken(relay, way, n, now_ns(), &due)) {
			way->lost++;
			continue;
		}
		packet = &way->queue[(way->head + way->nr++) % QUEUE_PACKETS];
		*packet = (struct packet){ .due_ns = due, .bytes = n, .data = malloc(n) };
		if (!packet->data)
			err(1, "malloc");
		memcpy(packet->data, buf, n);
	}
}

/* Return: when the next packet is due; UINT64_MAX: there is none */
static uint64_t way_write(const struct relay *relay, struct way *way)
{
	uint64_t now = now_ns();

	while (way->nr) {
		struct packet *packet = &way->queue[way->head];

		if (packet->due_ns > now)
			return packet->due_ns;
		/* what was on its way when the link was cut is lost too */
		if (now < relay->cut_until_ns || write(way->to, packet->data, packet->bytes) < 0) {
			way->lost++;
		} else {
			way->passed++;
			way->bytes += packet->bytes;
		}
		free(packet->data);
		way->head = (way->head + 1) % QUEUE_PACKETS;
		way->nr--;
	}
	return UINT64_MAX;
}

static void say_stats(const struct relay *relay)
{
	for (int i = 0; i < 2; i++)
		printf("%s: passed %lu packets, %lu bytes, lost %lu\n", i ? "back" : "there",
		       relay->ways[i].passed, relay->ways[i].bytes, relay->ways[i].lost);
	fflush(stdout);
}

static void take_command(struct relay *relay)
{
	char buf[256], *line, *rest = buf;
	ssize_t n = read(relay->fifo, buf, sizeof(buf) - 1);
	unsigned int ms;

	if (n <= 0)
		return;
	buf[n] = 0;
	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "cut %u", &ms) == 1)
			relay->cut_until_ns = now_ns() + ms * 1000000UL;
		else if (!strcmp(line, "stats"))
			say_stats(relay);
		else if (*line)
			warnx("\"%s\" is no command", line);
	}
}

static void run(struct relay *relay)
{
	struct pollfd fds[3] = {
		{ .fd = relay->ways[0].from, .events = POLLIN },
		{ .fd = relay->ways[1].from, .events = POLLIN },
		{ .fd = relay->fifo, .events = POLLIN },
	};

	for (;;) {
		uint64_t due[2] = { way_write(relay, &relay->ways[0]), way_write(relay, &relay->ways[1]) };
		uint64_t next = due[0] < due[1] ? due[0] : due[1], now = now_ns();
		uint64_t wait = next > now ? next - now : 0;
		struct timespec timeout = { .tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000 };

		if (ppoll(fds, 3, next == UINT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR)
			err(1, "ppoll");
		for (int i = 0; i < 2; i++)
			if (fds[i].revents)
				way_read(relay, &relay->ways[i]);
		if (fds[2].revents)
			take_command(relay);
	}
}

/* A link takes no longer when the machine has much to do. */
static void go_first(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_RR, &param))
		warn("sched_setscheduler");
}

static void ways_init(struct relay *relay, const char *const *names)
{
	int fds[2] = { device_make(relay, names[0]), device_make(relay, names[1]) };

	for (int i = 0; i < 2; i++) {
		struct way *way = &relay->ways[i];

		way->from = fds[i];
		way->to = fds[1 - i];
		way->random = relay->seed * 2 + i + 1;
		for (int turn = 0; turn < 16; turn++)
			random_next(&way->random);
		way->queue = calloc(QUEUE_PACKETS, sizeof(*way->queue));
		if (!way->queue)
			err(1, "calloc");
	}
}

static void take_option(struct relay *relay, int option)
{
	switch (option) {
	case 'd':
		relay->delay_ns = strtod(optarg, NULL) * 1000000 / 2;
		break;
	case 'l':
		relay->loss = strtod(optarg, NULL) * ALL_LOSS / 100;
		break;
	case 's':
		relay->seed = strtoull(optarg, NULL, 0);
		break;
	case 'r':
		relay->rate = strtoull(optarg, NULL, 0);
		break;
	case 'm':
		relay->mtu = strtoul(optarg, NULL, 0);
		break;
	default:
		errx(2, "usage: tun_relay [--delay MS] [--loss PERCENT] [--seed N] [--rate BYTES] [--mtu BYTES] NAMESPACE NAMESPACE FIFO");
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' }, { "loss", required_argument, NULL, 'l' },
		{ "seed", required_argument, NULL, 's' }, { "rate", required_argument, NULL, 'r' },
		{ "mtu", required_argument, NULL, 'm' }, { 0 },
	};
	struct relay relay = { .mtu = 1500, .seed = now_ns() % 1000000 };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		take_option(&relay, option);
	if (argc - optind != 3)
		take_option(&relay, '?');
	ways_init(&relay, (const char *const *)argv + optind);
	/* for writing too: else it is at its end whenever nobody has it open */
	relay.fifo = open(argv[optind + 2], O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (relay.fifo < 0)
		err(1, "%s", argv[optind + 2]);
	printf("link: delay %lu ms, loss %.2f %%, seed %lu, rate %lu, MTU %u\n", relay.delay_ns / 500000,
	       relay.loss * 100.0 / ALL_LOSS, relay.seed, relay.rate, relay.mtu);
	fflush(stdout);
	go_first();
	run(&relay);
}
