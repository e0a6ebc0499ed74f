// SPDX-License-Identifier: GPL-2.0
/*
 * Signals, slow readers and non-blocking sockets: SEND may end early, but the
 * stream stays whole. The control is a sender that trusts send(2) under a
 * timer: its stream breaks, and the receiver sees it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/splice_vm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "receiver.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define CONTROL_TRIES	20
#define PAGES		4096UL
#define LEN		(PAGES * PAGE_SIZE)
#define SEED		31UL
#define COOKIE		77
#define TIMER_US	200

static struct target target;
static struct svm svm;
static unsigned long mapped;
static sig_atomic_t fired;

static void signals_handler(int sig)
{
	(void)sig;
	WRITE_ONCE(fired, READ_ONCE(fired) + 1);
}

/* A timer that keeps firing; without SA_RESTART, so that nothing hides it. */
static void signals_timer(bool on)
{
	struct sigaction act = { .sa_handler = signals_handler };
	struct itimerval timer = {
		.it_interval.tv_usec = on ? TIMER_US : 0,
		.it_value.tv_usec = on ? TIMER_US : 0,
	};

	ksft_must(!sigaction(SIGALRM, &act, NULL));
	ksft_must(!setitimer(ITIMER_REAL, &timer, NULL));
}

/* The receiver must not be the one who gets the signals. */
static void signals_receiver(struct receiver *r, int fd, struct mirror *m,
			     size_t chunk, unsigned long delay_us)
{
	sigset_t set, old;

	mirror_init(m);
	*r = (struct receiver){
		.fd = fd,
		.mirror = m,
		.cookie = COOKIE,
		.chunk = chunk,
		.delay_us = delay_us,
	};
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	receiver_start(r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void signals_check(struct receiver *r, const struct svm_send *send,
			  const char *name, const char *net)
{
	bool right = !r->broken && r->bytes == send->bytes &&
		     r->pages == PAGES &&
		     mirror_is_pattern(r->mirror, mapped, PAGES, SEED);

	ksft_test_result(right, "%s, %s: stream: %s\n", name, net,
			 r->broken ?: "whole");
	ksft_print_msg("%lu calls, %lu EAGAIN, %llu batches, %d signals\n",
		       send->calls, send->again, r->batches,
		       READ_ONCE(fired));
}

static void signals_run(const struct net_kind *net, const char *name,
			bool timer, bool nonblock, size_t chunk,
			unsigned long delay_us)
{
	struct splice_vm_run runs[64];
	struct svm_send send = { .cookie = COOKIE };
	struct receiver r;
	struct mirror m;
	int pair[2], ret;
	unsigned long i;

	for (i = 0; i < 64; i++)
		runs[i] = (struct splice_vm_run){
			mapped + i * (LEN / 64), PAGES / 64, 0
		};
	net->pair(pair);
	if (nonblock)
		ksft_must(!fcntl(pair[0], F_SETFL, O_NONBLOCK));
	send.sock = pair[0];
	signals_receiver(&r, pair[1], &m, chunk, delay_us);
	fired = 0;
	signals_timer(timer);
	ret = svm_send_all(&svm, &send, runs, 64);
	signals_timer(false);
	shutdown(pair[0], SHUT_WR);
	receiver_join(&r);
	ksft_test_value(ret, 0, "%s, %s: SEND\n", name, net->name);
	signals_check(&r, &send, name, net->name);
	/* A signal is taken when a call returns: so as often as there are calls. */
	if (timer)
		ksft_test_result(READ_ONCE(fired) > 1 && send.calls > 1,
				 "%s, %s: signals ended calls\n", name,
				 net->name);
	if (nonblock)
		ksft_test_result(send.again, "%s, %s: EAGAIN was seen\n", name,
				 net->name);
	svm_runs_free(&send.results);
	mirror_free(&m);
	close(pair[0]);
	close(pair[1]);
}

struct signals_poke {
	pthread_t whom;
	struct receiver *r;
	struct mirror *m;
	int fd;
};

/* Waits until the socket is full, sends a signal, and only then lets it be read. */
static void *signals_poke_run(void *arg)
{
	struct signals_poke *poke = arg;

	sys_sleep_us(300000);
	pthread_kill(poke->whom, SIGALRM);
	sys_sleep_us(50000);
	signals_receiver(poke->r, poke->fd, poke->m, 0, 0);
	return NULL;
}

/* One signal, pending while SEND waits: success after a batch, not all done. */
static void signals_test_pending(const struct net_kind *net)
{
	struct sigaction act = { .sa_handler = signals_handler };
	struct signals_poke poke = { .whom = pthread_self() };
	struct splice_vm_run run = { mapped, PAGES, 0 }, results[16];
	struct splice_vm_send arg = {
		.size = sizeof(arg),
		.nr_runs = 1,
		.runs = (unsigned long)&run,
		.results = (unsigned long)results,
		.nr_results = ARRAY_SIZE(results),
		.cookie = COOKIE,
	};
	struct receiver r;
	struct mirror m;
	pthread_t thread;
	int pair[2];

	sigaction(SIGALRM, &act, NULL);
	net->pair(pair);
	arg.sock_fd = pair[0];
	poke.r = &r;
	poke.m = &m;
	poke.fd = pair[1];
	fired = 0;
	ksft_must(!pthread_create(&thread, NULL, signals_poke_run, &poke));
	ksft_test_value(svm_ioctl(svm.fd, SPLICE_VM_SEND, &arg), 0,
			"a pending signal, %s: SEND\n", net->name);
	ksft_test_result(READ_ONCE(fired) == 1 && arg.pages_done &&
			 arg.pages_done < PAGES &&
			 arg.pages_sent == arg.pages_done &&
			 results[0].nr_pages == arg.pages_done,
			 "a pending signal, %s: ends early, %llu pages\n",
			 net->name, arg.pages_done);
	ksft_print_msg("%d signals, done %llu, sent %llu, result %u\n",
		       READ_ONCE(fired), arg.pages_done, arg.pages_sent,
		       results[0].nr_pages);
	shutdown(pair[0], SHUT_WR);
	pthread_join(thread, NULL);
	receiver_join(&r);
	ksft_test_result(!r.broken && r.pages == arg.pages_sent &&
			 r.bytes == arg.bytes_sent &&
			 mirror_is_pattern(&m, mapped, r.pages, SEED),
			 "a pending signal, %s: stream: %s\n", net->name,
			 r.broken ?: "whole");
	mirror_free(&m);
	close(pair[0]);
	close(pair[1]);
}

/* Nobody reads: EAGAIN, once nothing fits any more, and nothing is half-written. */
static void signals_test_full(const struct net_kind *net)
{
	struct splice_vm_info info;
	long done = 0, ret = 0;
	int pair[2];

	net->pair(pair);
	ksft_must(!fcntl(pair[0], F_SETFL, O_NONBLOCK));
	while (ret >= 0 && done < 100000) {
		ret = svm_send_one(svm.fd, pair[0], mapped, 16, NULL);
		if (ret > 0)
			done += ret;
	}
	ksft_test_value(ret, -EAGAIN, "nobody reads, %s: after %ld pages\n",
			net->name, done);
	svm_info(svm.fd, &info);
	ksft_test_value(info.pages_inflight, 0, "nobody reads, %s: no call holds a page\n",
			net->name);
	close(pair[0]);
	close(pair[1]);
}

/* What a sender does that takes send(2) at its word. */
static void signals_naive_send(int sock)
{
	static char data[512 * PAGE_SIZE];
	struct iovec local = { data, sizeof(data) };
	unsigned long done;

	for (done = 0; done < LEN; done += sizeof(data)) {
		struct {
			struct splice_vm_batch head;
			struct splice_vm_run run;
		} start = {
			{ SPLICE_VM_BATCH_MAGIC, 1, 512, 0, COOKIE },
			{ mapped + done, 512, 0 },
		};
		struct iovec remote = { (void *)(mapped + done), sizeof(data) };

		process_vm_readv(target.pid, &local, 1, &remote, 1, 0);
		send(sock, &start, sizeof(start), MSG_MORE | MSG_NOSIGNAL);
		send(sock, data, sizeof(data), MSG_NOSIGNAL);
	}
}

/* Return: what became of the stream, or NULL when it is whole. */
static const char *signals_naive(const struct net_kind *net)
{
	struct receiver r;
	struct mirror m;
	int pair[2], small = 65536;

	/* So little room that each send must wait. */
	net->pair(pair);
	ksft_must(!setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	ksft_must(!setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	signals_receiver(&r, pair[1], &m, 16384, 500);
	signals_timer(true);
	signals_naive_send(pair[0]);
	signals_timer(false);
	shutdown(pair[0], SHUT_WR);
	receiver_join(&r);
	mirror_free(&m);
	close(pair[0]);
	close(pair[1]);
	return r.broken;
}

/* A signal must come just while it waits: on a busy machine that takes luck. */
static void signals_test_control(const struct net_kind *net)
{
	const char *broken = NULL;
	int i;

	for (i = 0; !broken && i < CONTROL_TRIES; i++)
		broken = signals_naive(net);
	ksft_test_result(broken, "control: a naive sender, %s: %s\n",
			 net->name, broken ?: "whole");
}

int main(void)
{
	size_t i;

	ksft_print_header();
	target_start(&target);
	mapped = target_map(&target, LEN, MADV_NOHUGEPAGE);
	target_fill(&target, mapped, LEN, SEED);
	svm_open(&svm, target.pid, false);
	for (i = 0; i < ARRAY_SIZE(net_kinds); i++) {
		const struct net_kind *net = &net_kinds[i];

		signals_run(net, "quiet", false, false, 0, 0);
		signals_run(net, "timer", true, false, 0, 0);
		signals_run(net, "timer and slow reader", true, false, 8000,
			    300);
		signals_run(net, "non-blocking, slow reader", false, true,
			    16384, 300);
		signals_run(net, "timer, non-blocking, slow reader", true, true,
			    16384, 300);
		signals_test_pending(net);
		signals_test_full(net);
		signals_test_control(net);
	}
	svm_close(&svm);
	target_stop(&target);
	ksft_finished();
}
