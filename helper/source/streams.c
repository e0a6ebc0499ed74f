// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "base/thread.h"
#include "source/streams.h"

/* How @whole sends now. */
static void follow(struct stream *stream, const struct sender *whole)
{
	stream->sender.round = whole->round;
	stream->sender.frozen = whole->frozen;
	stream->sender.tells_lost = whole->tells_lost;
	stream->sender.keeps_current = whole->keeps_current;
}

static int add_piece(struct stream *stream, const struct splice_vm_run *piece, struct error *err)
{
	if (stream->nr == stream->cap) {
		uint32_t cap = stream->cap ? 2 * stream->cap : 64;
		struct splice_vm_run *runs = realloc(stream->runs, cap * sizeof(*runs));

		if (!runs)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of pages");
		stream->runs = runs;
		stream->cap = cap;
	}
	stream->runs[stream->nr++] = *piece;
	return 0;
}

/* Cut @runs at the ends of stripes: each stream gets its pieces, in order. */
static int split(struct streams *streams, const struct sender *whole, const struct splice_vm_run *runs, uint32_t nr_runs,
		 struct error *err)
{
	for (unsigned int i = 0; i < streams->nr; i++) {
		follow(&streams->list[i], whole);
		streams->list[i].nr = 0;
	}
	for (uint32_t i = 0; i < nr_runs; i++) {
		struct splice_vm_run piece = runs[i];
		uint64_t left = runs[i].nr_pages;

		for (; left; left -= piece.nr_pages, piece.addr += (uint64_t)piece.nr_pages << PAGE_SHIFT) {
			uint64_t room = (STREAMS_STRIPE - piece.addr % STREAMS_STRIPE) >> PAGE_SHIFT;

			piece.nr_pages = left < room ? left : room;
			if (add_piece(streams_at(streams, piece.addr), &piece, err))
				return -1;
		}
	}
	return 0;
}

static void add_up(struct sender *whole, const struct sender *now, const struct sender *before)
{
	whole->pages += now->pages - before->pages;
	whole->copied += now->copied - before->copied;
	whole->zero += now->zero - before->zero;
	whole->inherited += now->inherited - before->inherited;
	whole->bytes += now->bytes - before->bytes;
	whole->carried += now->carried - before->carried;
	whole->lost += now->lost - before->lost;
}

static void send_pieces(struct stream *stream)
{
	memset(&stream->err, 0, sizeof(stream->err));
	stream->ret = sender_pages(&stream->sender, stream->all->mm, stream->runs, stream->nr, &stream->err);
}

static void *stream_body(void *arg)
{
	struct stream *stream = arg;
	struct streams *streams = stream->all;

	pthread_mutex_lock(&streams->lock);
	for (;;) {
		while (!stream->work && !streams->stop)
			pthread_cond_wait(&streams->begin, &streams->lock);
		if (!stream->work)
			break;
		pthread_mutex_unlock(&streams->lock);
		send_pieces(stream);
		pthread_mutex_lock(&streams->lock);
		stream->work = false;
		if (!--streams->working)
			pthread_cond_signal(&streams->end);
	}
	pthread_mutex_unlock(&streams->lock);
	return NULL;
}

/* All that have pieces send them. This thread takes those of the first one, or of the only one. */
static void send_all(struct streams *streams, struct source_mm *mm)
{
	struct stream *own = NULL;
	unsigned int others = 0;

	for (unsigned int i = 0; i < streams->nr; i++) {
		streams->list[i].ret = 0;
		if (streams->list[i].nr && !own)
			own = &streams->list[i];
		else
			others += streams->list[i].nr > 0;
	}
	if (!own)
		return;
	/* the first one that has pieces may be another one than the first: all others have a thread */
	pthread_mutex_lock(&streams->lock);
	streams->mm = mm;
	streams->working = others;
	for (struct stream *stream = own + 1; stream < streams->list + streams->nr; stream++)
		stream->work = stream->nr > 0;
	if (others)
		pthread_cond_broadcast(&streams->begin);
	pthread_mutex_unlock(&streams->lock);
	send_pieces(own);
	pthread_mutex_lock(&streams->lock);
	while (streams->working)
		pthread_cond_wait(&streams->end, &streams->lock);
	pthread_mutex_unlock(&streams->lock);
}

/* A lost connection counts before whatever else failed: nothing can be mended then. */
static int take_failure(const struct streams *streams, struct error *err)
{
	const struct stream *failed = NULL;

	for (unsigned int i = 0; i < streams->nr; i++) {
		const struct stream *stream = &streams->list[i];

		if (stream->ret && (!failed || (stream->err.code == CODE_NETWORK && failed->err.code != CODE_NETWORK)))
			failed = stream;
	}
	if (!failed)
		return 0;
	*err = failed->err;
	return -1;
}

static int streams_pages(struct sender *whole, struct source_mm *mm, const struct splice_vm_run *runs,
			 uint32_t nr_runs, struct error *err)
{
	struct streams *streams = whole->streams;
	struct sender before[STREAMS_MAX];
	uint64_t carried = whole->carried;

	if (split(streams, whole, runs, nr_runs, err))
		return -1;
	for (unsigned int i = 0; i < streams->nr; i++)
		before[i] = streams->list[i].sender;
	send_all(streams, mm);
	for (unsigned int i = 0; i < streams->nr; i++)
		add_up(whole, &streams->list[i].sender, &before[i]);
	/* the limit is of the sum */
	pace_sent(whole->pace, whole->carried - carried);
	return take_failure(streams, err);
}

/* The lists of the pages themselves are one: the order of POPULATED does not matter before FINAL. */
static int streams_list(struct sender *whole, struct source_mm *mm, enum frame_kind kind,
			const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	struct streams *streams = whole->streams;

	if (kind == FRAME_POPULATED) {
		follow(&streams->list[0], whole);
		return sender_list(&streams->list[0].sender, mm, kind, runs, nr_runs, err);
	}
	if (split(streams, whole, runs, nr_runs, err))
		return -1;
	for (unsigned int i = 0; i < streams->nr; i++) {
		struct stream *stream = &streams->list[i];

		if (sender_list(&stream->sender, mm, kind, stream->runs, stream->nr, err))
			return -1;
	}
	return 0;
}

static int streams_also(struct sender *whole, const struct source_mm *giver, struct source_mm *mm,
			const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err)
{
	struct streams *streams = whole->streams;

	if (split(streams, whole, runs, nr_runs, err))
		return -1;
	for (unsigned int i = 0; i < streams->nr; i++) {
		struct stream *stream = &streams->list[i];
		struct sender before = stream->sender;

		if (stream->nr && sender_also(&stream->sender, giver, mm, stream->runs, stream->nr, err))
			return -1;
		add_up(whole, &stream->sender, &before);
	}
	return 0;
}

static int streams_mark(struct sender *whole, struct source_mm *mm, enum frame_kind kind, struct error *err)
{
	struct streams *streams = whole->streams;
	/* ROUND and FINAL of all objects together are said on the others: streams_end() */
	unsigned int nr = kind == FRAME_PUSHED ? streams->nr : 1;

	for (unsigned int i = 0; i < nr; i++) {
		follow(&streams->list[i], whole);
		if (sender_mark(&streams->list[i].sender, mm, kind, err))
			return -1;
	}
	return 0;
}

static int streams_end(struct sender *whole, enum frame_kind kind, struct error *err)
{
	struct streams *streams = whole->streams;

	for (unsigned int i = 1; i < streams->nr; i++)
		if (frame_send(streams->list[i].sender.conn, kind, FRAME_COOKIE(whole->round, FRAME_ALL_OBJECTS), NULL, 0, err))
			return -1;
	return 0;
}

static void streams_end_round(struct sender *whole)
{
	struct streams *streams = whole->streams;

	for (unsigned int i = 0; i < streams->nr; i++)
		compress_end_round(streams->list[i].sender.compress);
}

static struct sender *streams_sender_at(struct sender *whole, uint64_t addr)
{
	return &streams_at(whole->streams, addr)->sender;
}

static uint64_t streams_pages_at(const struct sender *whole, uint64_t addr, uint64_t nr_pages)
{
	uint64_t room = (STREAMS_STRIPE - addr % STREAMS_STRIPE) >> PAGE_SHIFT;

	return nr_pages > room ? room : nr_pages;
}

static unsigned int streams_width(const struct sender *whole)
{
	return whole->streams->nr;
}

static const struct sender_ops ops = {
	.pages = streams_pages, .list = streams_list, .also = streams_also, .mark = streams_mark, .end = streams_end,
	.end_round = streams_end_round, .at = streams_sender_at, .pages_at = streams_pages_at, .width = streams_width,
};

static int stream_init(struct streams *streams, struct stream *stream, const struct conn *conn, bool thread,
		       struct error *err)
{
	stream->all = streams;
	if (sender_init(&stream->sender, conn, true, err))
		return -1;
	stream->sender.sets = &streams->sets;
	stream->has_thread = thread && !thread_start(&stream->thread, stream_body, stream, err);
	return thread && !stream->has_thread ? -1 : 0;
}

int streams_init(struct streams *streams, const struct conn *conns, unsigned int nr, struct sender *sender,
		 struct error *err)
{
	if (nr < 2)
		return 0;
	pthread_mutex_init(&streams->lock, NULL);
	pthread_mutex_init(&streams->sets, NULL);
	pthread_cond_init(&streams->begin, NULL);
	pthread_cond_init(&streams->end, NULL);
	streams->list = calloc(nr, sizeof(*streams->list));
	if (!streams->list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for streams");
	streams->nr = nr;
	for (unsigned int i = 0; i < nr; i++)
		if (stream_init(streams, &streams->list[i], &conns[i], i > 0, err))
			return -1;
	sender->streams = streams;
	sender->ops = &ops;
	/* a run is cut into two pieces of one stream at most: what is pushed at once is as long as all streams' stripes */
	sender->also_max = FRAME_ALSO_RUNS_MAX / 2;
	return 0;
}

int streams_agree(struct streams *streams, const struct compress *whole, uint32_t codecs, struct error *err)
{
	for (unsigned int i = 0; i < streams->nr; i++) {
		struct stream *stream = &streams->list[i];

		stream->compress = (struct compress){ .ask = whole->ask, .limit = whole->limit / streams->nr };
		if (compress_agree(&stream->compress, codecs, stream->sender.conn, err))
			return -1;
		stream->sender.compress = &stream->compress;
	}
	return 0;
}

void streams_compressed(const struct streams *streams, struct compress *whole)
{
	for (unsigned int i = 0; i < streams->nr; i++)
		compress_add(whole, &streams->list[i].compress);
}

void streams_destroy(struct streams *streams)
{
	if (!streams->list)
		return;
	pthread_mutex_lock(&streams->lock);
	streams->stop = true;
	pthread_cond_broadcast(&streams->begin);
	pthread_mutex_unlock(&streams->lock);
	for (unsigned int i = 0; i < streams->nr; i++) {
		if (streams->list[i].has_thread)
			pthread_join(streams->list[i].thread, NULL);
		sender_destroy(&streams->list[i].sender);
		compress_destroy(&streams->list[i].compress);
		free(streams->list[i].runs);
	}
	free(streams->list);
	memset(streams, 0, sizeof(*streams));
}
