/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One connection to the page server: a thread that writes the pages of a dump into images.
 *
 * The images count when CRIU has said CLOSE, and when all of them are whole and have their names. The receiver
 * answers CLOSE after that. A connection that ends earlier leaves no image.
 */
#ifndef MIGRATE_SERVICES_PAGE_RECEIVER_H
#define MIGRATE_SERVICES_PAGE_RECEIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include "criu/page_command.h"
#include "criu/page_payload.h"
#include "services/image_dir.h"
#include "services/parent_map.h"

/**
 * enum page_cut - why the server ends a connection
 * @PAGE_CUT_NOT: it does not
 * @PAGE_CUT_STOP: the server ends
 * @PAGE_CUT_SILENT: nothing came for too long
 */
enum page_cut { PAGE_CUT_NOT, PAGE_CUT_STOP, PAGE_CUT_SILENT };

/**
 * struct page_receiver - one connection
 * @stream: the socket and its TLS, which the receiver owns
 * @trust: TLS comes first, with these certificates; NULL: there is no TLS. The owner sets it, and @name, before
 *	the receiver runs
 * @name: what the sender's certificate must be for; NULL: anything
 * @wake_fd: eventfd that gets 1 when the thread has ended, or -1
 * @peer: the sender's address, for messages
 * @since_ms: time at which the connection came
 * @bytes: length of a command (page_command_read())
 * @writer: the images of the last object that was opened
 * @parent, @has_parent: what the parent lists of this object
 * @made: all objects of this connection
 * @closed: the images are published
 * @confirmed: the sender knows that: it hung up after the answer to CLOSE. A dump whose connection broke before that fails
 * @spoke: a command of the protocol has come
 * @err: why the connection failed
 */
struct page_receiver {
	struct page_stream stream;
	const struct tls_trust *trust;
	const char *name;
	int wake_fd;
	struct page_payload payload;
	char peer[64];
	int64_t since_ms;
	struct image_dir *dir;
	size_t bytes;
	struct image_writer writer;
	struct parent_map parent;
	bool has_parent, closed, confirmed;
	struct image_made *made;
	size_t nr_made, room;
	struct image_counts counts;
	struct error err;
	pthread_t thread;
	atomic_bool spoke, ended;
	atomic_int cut;	/* enum page_cut */
};

/** page_receiver_init() - @dir outlives the receiver */
void page_receiver_init(struct page_receiver *receiver, int fd, struct image_dir *dir);

/** page_receiver_run() - receive all, in this thread */
void page_receiver_run(struct page_receiver *receiver);

/** page_receiver_start() - receive all, in a thread */
int page_receiver_start(struct page_receiver *receiver, struct error *err);

/** page_receiver_cut() - end the traffic, so that the thread ends; for the thread that owns the receiver */
void page_receiver_cut(struct page_receiver *receiver, enum page_cut why);

/** page_receiver_silent_ms() - time since the last bytes of a TCP sender; 0 while some are unread here */
int64_t page_receiver_silent_ms(const struct page_receiver *receiver);

/** page_receiver_join() - wait for the end of the thread */
void page_receiver_join(struct page_receiver *receiver);

/** page_receiver_free() - close the socket, and free what the receiver holds */
void page_receiver_free(struct page_receiver *receiver);

#endif
