// SPDX-License-Identifier: GPL-2.0
/*
 * Threads open and close sessions on targets that live and die, while other threads dump, listen
 * and end epochs. No thread may crash, and each dump must be consistent: ids in order, and every
 * session that is open all the time.
 */
#include <fcntl.h>
#include <netlink/errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ksft.h"
#include "netlink_client.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define OPENERS		3
#define BLINKERS	2
#define BLINKER_FDS	3
#define DUMPERS		2
#define SECONDS		6
#define REFCNT		"/sys/module/splice_vm/refcnt"

static struct target target;
static bool stop;
static __u64 steady;
static unsigned long opened, blinked, killed, dumps, wrong, sessions, events;

static void *race_opener(void *arg)
{
	struct svm s;

	(void)arg;
	while (!READ_ONCE(stop)) {
		svm_open(&s, target.pid, true);
		svm_epoch(&s);
		svm_close(&s);
		__atomic_fetch_add(&opened, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Without a target a session comes and goes far faster. There are few of them, so that the one
 * that goes is likely to be the one that a dump looks at.
 */
static void *race_blinker(void *arg)
{
	__u64 seed = (unsigned long)&seed;
	int fds[BLINKER_FDS], i;

	(void)arg;
	for (i = 0; i < BLINKER_FDS; i++)
		fds[i] = svm_open_device();
	while (!READ_ONCE(stop)) {
		i = sys_random(&seed) % BLINKER_FDS;
		close(fds[i]);
		fds[i] = svm_open_device();
		__atomic_fetch_add(&blinked, 1, __ATOMIC_RELAXED);
	}
	for (i = 0; i < BLINKER_FDS; i++)
		close(fds[i]);
	return NULL;
}

/* One thread only: fork in a program of many threads wants care. */
static void race_kill_one(void)
{
	struct target t;
	struct svm s;

	target_start(&t);
	svm_open(&s, t.pid, true);
	if (killed++ % 2) {
		target_stop(&t);
		svm_close(&s);
	} else {
		svm_close(&s);
		target_stop(&t);
	}
}

static bool race_is_right(const struct seen_list *list)
{
	bool there = false;
	size_t i;

	for (i = 0; i < list->nr; i++) {
		there = there || SEEN(&list->v[i], ID) == steady;
		if (i && SEEN(&list->v[i], ID) <= SEEN(&list->v[i - 1], ID))
			return false;
		if (SEEN(&list->v[i], OPENER_PID) != (__u64)getpid())
			return false;
	}
	return there;
}

static void *race_dumper(void *arg)
{
	struct seen_list list = {};
	struct client c;

	(void)arg;
	ksft_must(!client_open(&c));
	while (!READ_ONCE(stop)) {
		if (client_dump(&c, &list) || !race_is_right(&list))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&dumps, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&sessions, list.nr, __ATOMIC_RELAXED);
		seen_free(&list);
	}
	client_close(&c);
	return NULL;
}

static void *race_listener(void *arg)
{
	struct seen_list list = {};
	struct client c;

	(void)arg;
	ksft_must(!client_open(&c) && !client_join(&c));
	while (!READ_ONCE(stop)) {
		/* It may be too slow, and is then told so. */
		client_listen(&c, 10, &list);
		events += list.nr;
		seen_free(&list);
	}
	client_close(&c);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? atoi(argv[1]) : SECONDS;
	long refs = sys_read_long(REFCNT);
	pthread_t threads[OPENERS + BLINKERS + DUMPERS + 1];
	struct seen_list list = {};
	unsigned int i, nr = 0;
	struct client c;
	__u64 end;
	struct svm s;

	ksft_print_header();
	if (client_open(&c))
		ksft_exit_fail_msg("no family " SPLICE_VM_FAMILY_NAME "\n");
	target_start(&target);
	svm_open(&s, target.pid, true);
	ksft_must(!client_dump(&c, &list) && list.nr == 1);
	steady = SEEN(&list.v[0], ID);
	for (i = 0; i < OPENERS; i++)
		ksft_must(!pthread_create(&threads[nr++], NULL, race_opener, NULL));
	for (i = 0; i < BLINKERS; i++)
		ksft_must(!pthread_create(&threads[nr++], NULL, race_blinker, NULL));
	for (i = 0; i < DUMPERS; i++)
		ksft_must(!pthread_create(&threads[nr++], NULL, race_dumper, NULL));
	ksft_must(!pthread_create(&threads[nr++], NULL, race_listener, NULL));
	end = sys_now_ns() + seconds * 1000000000ULL;
	while (sys_now_ns() < end)
		race_kill_one();
	WRITE_ONCE(stop, true);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	ksft_print_msg("%lu and %lu opened, %lu targets killed, %lu dumps, %lu sessions in them, %lu events\n",
		       opened, blinked, killed, dumps, sessions, events);
	ksft_test_result(opened && killed && events && sessions > dumps,
			 "control: dumps saw sessions that come and go\n");
	ksft_test_value(wrong, 0, "wrong dumps\n");
	svm_close(&s);
	seen_free(&list);
	ksft_must(!client_dump(&c, &list));
	ksft_test_value(list.nr, 0, "no session is left\n");
	client_close(&c);
	target_stop(&target);
	ksft_test_value(sys_read_long(REFCNT), refs,
			"no reference on the module is left\n");
	ksft_finished();
}
