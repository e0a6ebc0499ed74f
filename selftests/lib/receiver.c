// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <linux/splice_vm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksft.h"
#include "receiver.h"
#include "sys.h"

/* Above max_batch_pages of any kernel; bounds the memory that a bad head can take. */
#define RECEIVER_MAX	4096

static void receiver_moved(struct receiver *r, size_t bytes)
{
	pthread_mutex_lock(&r->lock);
	r->bytes += bytes;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

/* Return: bytes, fewer than @len at the end of the stream */
static size_t receiver_read(struct receiver *r, void *buf, size_t len)
{
	size_t done = 0, want;
	ssize_t got;

	while (done < len) {
		want = len - done;
		if (r->chunk && want > r->chunk)
			want = r->chunk;
		got = read(r->fd, (char *)buf + done, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += got;
		if (r->delay_us)
			sys_sleep_us(r->delay_us);
	}
	return done;
}

static const char *receiver_check_head(const struct receiver *r,
				       const struct splice_vm_batch *head)
{
	if (le32toh(head->magic) != SPLICE_VM_BATCH_MAGIC)
		return "bad magic";
	if (!le32toh(head->nr_runs) || le32toh(head->nr_runs) > RECEIVER_MAX)
		return "bad number of runs";
	if (le32toh(head->nr_pages) < le32toh(head->nr_runs) ||
	    le32toh(head->nr_pages) > RECEIVER_MAX)
		return "bad number of pages";
	if (head->reserved)
		return "reserved is not 0";
	if (le64toh(head->cookie) != r->cookie)
		return "bad cookie";
	return NULL;
}

static const char *receiver_check_runs(const struct splice_vm_batch *head,
				       const struct splice_vm_run *runs)
{
	__u32 i, pages = 0;

	for (i = 0; i < le32toh(head->nr_runs); i++) {
		if (runs[i].flags || runs[i].addr % PAGE_SIZE ||
		    !runs[i].nr_pages || runs[i].nr_pages > RECEIVER_MAX)
			return "bad run";
		pages += runs[i].nr_pages;
	}
	return pages == le32toh(head->nr_pages) ? NULL : "pages do not add up";
}

static void receiver_keep(struct receiver *r, const struct splice_vm_run *run,
			  const unsigned char *data)
{
	__u32 i;

	for (i = 0; i < run->nr_pages; i++)
		memcpy(mirror_put(r->mirror, run->addr + i * PAGE_SIZE)->data,
		       data + i * PAGE_SIZE, PAGE_SIZE);
	r->pages += run->nr_pages;
}

/* Reads all pages at once: a system call for each page would be slow on an emulated CPU. */
static const char *receiver_pages(struct receiver *r,
				  const struct splice_vm_batch *head,
				  const struct splice_vm_run *runs)
{
	size_t len = le32toh(head->nr_pages) * PAGE_SIZE, at = 0;
	__u32 i;

	if (receiver_read(r, r->pages_buf, len) != len)
		return "ends within a page";
	for (i = 0; i < le32toh(head->nr_runs); i++) {
		receiver_keep(r, &runs[i], r->pages_buf + at);
		at += runs[i].nr_pages * PAGE_SIZE;
	}
	return NULL;
}

/* Return: NULL, or an error text; sets @ended at a clean end of the stream */
static const char *receiver_batch(struct receiver *r, bool *ended)
{
	static __thread struct splice_vm_run runs[RECEIVER_MAX];
	struct splice_vm_batch head;
	const char *broken;
	size_t len = receiver_read(r, &head, sizeof(head));

	if (!len) {
		*ended = true;
		return NULL;
	}
	if (len != sizeof(head))
		return "ends within a head";
	broken = receiver_check_head(r, &head);
	if (broken)
		return broken;
	len = le32toh(head.nr_runs) * sizeof(*runs);
	if (receiver_read(r, runs, len) != len)
		return "ends within runs";
	broken = receiver_check_runs(&head, runs) ?:
		 receiver_pages(r, &head, runs);
	if (broken)
		return broken;
	r->batches++;
	receiver_moved(r, sizeof(head) + len + le32toh(head.nr_pages) * PAGE_SIZE);
	return NULL;
}

static void *receiver_run(void *arg)
{
	struct receiver *r = arg;
	const char *broken = NULL;
	bool ended = false;
	char rest[4096];

	r->pages_buf = malloc(RECEIVER_MAX * PAGE_SIZE);
	ksft_must(r->pages_buf);
	while (!ended && !broken)
		broken = receiver_batch(r, &ended);
	free(r->pages_buf);
	pthread_mutex_lock(&r->lock);
	r->broken = broken;
	r->ended = true;
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
	/* drain the socket, so that the sender does not wait for ever */
	while (broken && read(r->fd, rest, sizeof(rest)) > 0)
		;
	return NULL;
}

void receiver_start(struct receiver *r)
{
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->moved, NULL);
	ksft_must(!pthread_create(&r->thread, NULL, receiver_run, r));
}

bool receiver_wait(struct receiver *r, __u64 bytes)
{
	bool there;

	pthread_mutex_lock(&r->lock);
	while (r->bytes < bytes && !r->ended)
		pthread_cond_wait(&r->moved, &r->lock);
	there = r->bytes >= bytes;
	pthread_mutex_unlock(&r->lock);
	return there;
}

void receiver_join(struct receiver *r)
{
	pthread_join(r->thread, NULL);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->moved);
}
