// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/clock.h"
#include "os/proc_tree.h"
#include "services/remote_dump.h"
#include "services/remote_intake.h"
#include "services/remote_reader.h"

#define OPEN_MS		10000	/* CRIU has closed all images when it finishes, or its action script asks */
#define INVENTORY	"inventory.img"

int remote_dump_init(struct remote_dump *remote, struct image_uplink *up,
		     struct image_tally *tally, uint64_t max_bytes, struct error *err)
{
	*remote = (struct remote_dump){ .up = up, .tally = tally,
					.fate = IMAGE_FATE_NONE,
					.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	pthread_mutex_init(&remote->lock, NULL);
	pthread_cond_init(&remote->changed, NULL);
	image_store_init(&remote->store, max_bytes);
	return remote->wake_fd < 0 ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd") : 0;
}

/* Wait up to OPEN_MS for a change; the caller holds the lock. Return: false when the time is over */
static bool wait_until(struct remote_dump *remote, int64_t end_ms)
{
	int64_t left_ms = end_ms - clock_now_ms();
	struct timespec until = clock_in_ms(CLOCK_REALTIME, left_ms > 0 ? left_ms : 0);

	if (left_ms > 0)
		pthread_cond_timedwait(&remote->changed, &remote->lock, &until);
	return left_ms > 0;
}

/*
 * CRIU made its connections in an order: what one says holds for the next. Each waits until those before it have begun.
 * Takes the lock, which the caller gives back when the connection has begun
 */
static void take_turn(struct remote_dump *remote, const struct image_client *client)
{
	pthread_mutex_lock(&remote->lock);
	while (remote->turn < client->order)
		pthread_cond_wait(&remote->changed, &remote->lock);
	remote->turn++;
	pthread_cond_broadcast(&remote->changed);
}

/* The dump has its end at the cache, too; the caller holds the lock, and nobody uses the dump */
static void settle(struct remote_dump *remote, bool commit)
{
	struct image_outcome outcome = { .images = remote->dump->nr_whole, .bytes = remote->dump->bytes,
					 .confirmed = remote->confirmed, .err = &remote->err };
	struct error ignored = { 0 };

	image_uplink_finish(remote->up, remote->number, commit,
			    error_is_set(&remote->err) ? &ignored : &remote->err);
	image_outcome_tell(&outcome, remote->id);
	image_tally_add(remote->tally, &outcome);
	image_store_drop(&remote->store, remote->dump);
	remote->dump = NULL;
	remote->nr_appended = 0;
}

/* The caller holds the lock. */
static void give_up(struct remote_dump *remote)
{
	remote->state = REMOTE_VOID;
	if (remote->dump && !remote->users)
		settle(remote, false);
}

/* The caller holds the lock. */
static int begin(struct remote_dump *remote, struct error *err)
{
	if (remote->dump)
		return 0;
	remote->confirmed = false;
	remote->err = (struct error){ 0 };
	*remote->snapshot = 0;
	remote->number = image_uplink_begin(remote->up, remote->id, remote->wake_fd, err);
	if (remote->number < 0)
		return -1;
	remote->dump = image_store_begin(&remote->store, remote->id, -1, err);
	if (!remote->dump)
		return image_uplink_finish(remote->up, remote->number, false, err), -1;
	remote->state = REMOTE_OPEN;
	return 0;
}

/* Return: the image to write, or NULL with @err; the caller holds the lock */
static struct stored_image *take_image(struct remote_dump *remote, const struct remote_request *request,
				       struct error *err)
{
	struct stored_image *image;

	for (size_t i = 0; i < remote->nr_appended && request->mode == REMOTE_APPEND; i++)
		if (!strcmp(remote->appended[i]->name, request->key))
			return remote->appended[i];
	if (request->mode == REMOTE_APPEND && remote->nr_appended == REMOTE_APPENDED_MAX) {
		error_set(err, CODE_PEER, NULL, "too many images in append mode");
		return NULL;
	}
	image = image_store_image(&remote->store, remote->dump, request->key, err);
	if (image && request->mode == REMOTE_APPEND)
		remote->appended[remote->nr_appended++] = image;
	return image;
}

/* A CRIU writes an image: @intake.image, or none with @err; the caller holds the lock */
static void enter(struct remote_dump *remote, const struct image_client *client,
		  const struct remote_request *request, struct remote_intake *intake,
		  struct error *err)
{
	/* the next CRIU begins anew */
	if (remote->state == REMOTE_VOID && !remote->dump && client->pid != remote->criu)
		remote->state = REMOTE_IDLE;
	if (remote->state == REMOTE_VOID || remote->state == REMOTE_SEALED)
		error_set(err, CODE_PEER, NULL, "the dump takes no more images");
	else if (!begin(remote, err))
		intake->image = take_image(remote, request, err);
	if (intake->image) {
		remote->users++;
		intake->next = remote->intakes;
		remote->intakes = intake;
		remote->criu = client->pid;
		if (*request->snapshot)
			strcpy(remote->snapshot, request->snapshot);
	} else if (remote->state == REMOTE_OPEN) {
		remote->err = *err;
		give_up(remote);
	}
}

/* @intake: NULL: the connection has read. @err: why the dump cannot succeed any more, if it is set */
static void leave(struct remote_dump *remote, const struct remote_intake *intake,
		  const struct error *err)
{
	struct remote_intake **at = &remote->intakes;

	pthread_mutex_lock(&remote->lock);
	while (intake && *at != intake)
		at = &(*at)->next;
	if (intake)
		*at = intake->next;
	remote->users--;
	if (error_is_set(err) && !error_is_set(&remote->err))
		remote->err = *err;
	/* after a yes CRIU kills the program, whatever comes then */
	if (error_is_set(&remote->err) && remote->state != REMOTE_SEALED)
		give_up(remote);
	pthread_cond_broadcast(&remote->changed);
	pthread_mutex_unlock(&remote->lock);
}

static void write_image(struct remote_dump *remote, struct image_client *client,
			const struct remote_request *request)
{
	struct remote_intake intake = { .remote = remote, .fd = client->fd,
					.stop = &client->loop->stop };
	struct error err = { 0 };

	take_turn(remote, client);
	enter(remote, client, request, &intake, &err);
	pthread_mutex_unlock(&remote->lock);
	if (!intake.image)
		return;
	if (request->mode == REMOTE_APPEND)
		remote_intake_append(&intake, *request->snapshot, &err);
	else
		remote_intake_write(&intake, *request->snapshot, &err);
	leave(remote, &intake, &err);
}

static bool is_coming(const struct remote_dump *remote, const char *key)
{
	for (const struct remote_intake *intake = remote->intakes; intake; intake = intake->next)
		if (!intake->taken && !strcmp(intake->image->name, key))
			return true;
	return false;
}

/* An image that may grow: what it has now. Return: false without memory; the caller holds the lock */
static bool copy_appended(const struct remote_dump *remote, const char *key, struct stored_image *copy)
{
	for (size_t i = 0; i < remote->nr_appended; i++) {
		const struct stored_image *image = remote->appended[i];

		if (strcmp(image->name, key))
			continue;
		*copy = *image;
		copy->data = image->fd < 0 ? malloc(image->bytes + 1) : NULL;
		if (copy->data)
			memcpy(copy->data, image->data, image->bytes);
		return copy->data || image->fd >= 0;
	}
	return false;
}

/* What CRIU has written and closed is there, or comes out of its pipe. */
static void read_image(struct remote_dump *remote, struct image_client *client,
		       const struct remote_request *request)
{
	int64_t end_ms = clock_now_ms() + OPEN_MS;
	const struct stored_image *image = NULL;
	struct error ignored = { 0 }, none = { 0 };
	struct stored_image copy = { 0 };
	bool uses;

	take_turn(remote, client);
	while (is_coming(remote, request->key) && wait_until(remote, end_ms))
		;
	uses = remote->dump && remote->state == REMOTE_OPEN;
	if (uses) {
		image = copy_appended(remote, request->key, &copy) ? &copy :
			image_store_get(&remote->store, remote->dump, request->key);
		remote->users++;
	}
	pthread_mutex_unlock(&remote->lock);
	remote_reader_serve(client, request, image, &ignored);
	free(copy.data);
	if (uses)
		leave(remote, NULL, &none);
}

/* Whether all that is left to do is to send images to the cache; the caller holds the lock */
static bool all_taken(const struct remote_dump *remote)
{
	unsigned int taken = 0;

	for (const struct remote_intake *intake = remote->intakes; intake; intake = intake->next)
		taken += intake->taken;
	return taken == remote->users;
}

/* CRIU has closed its images; they take their time to the cache. The caller holds the lock */
static int wait_for_users(struct remote_dump *remote)
{
	int64_t end_ms = clock_now_ms() + OPEN_MS;

	while (remote->users)
		if (all_taken(remote))
			pthread_cond_wait(&remote->changed, &remote->lock);
		else if (!wait_until(remote, end_ms))
			return error_set(&remote->err, CODE_PEER, NULL,
					 "images are still open after the dump");
	return 0;
}

static int check_inventory(struct remote_dump *remote)
{
	char key[IMAGE_NAME_BYTES + sizeof("/" INVENTORY)];
	const struct stored_image *image = NULL;

	if (snprintf(key, sizeof(key), "%s/" INVENTORY, remote->snapshot) <= (int)IMAGE_NAME_BYTES)
		image = image_store_get(&remote->store, remote->dump, key);
	return image && image->bytes ? 0 :
	       error_set(&remote->err, CODE_CRIU, NULL, "CRIU ended before its dump was complete");
}

static int send_appended(struct remote_dump *remote)
{
	for (size_t i = 0; i < remote->nr_appended; i++) {
		if (remote_intake_forward(remote, remote->appended[i], &remote->err))
			return -1;
		image_store_whole(&remote->store, remote->dump, remote->appended[i]);
	}
	return 0;
}

/* The cache has all images, whole; the caller holds the lock */
static int seal(struct remote_dump *remote)
{
	if (remote->state == REMOTE_SEALED)
		return 0;
	if (remote->state != REMOTE_OPEN)
		return -1;
	if (!wait_for_users(remote) && remote->state == REMOTE_OPEN && !check_inventory(remote) &&
	    !send_appended(remote) &&
	    !image_uplink_seal(remote->up, remote->number, remote->dump->nr_whole, &remote->err)) {
		remote->state = REMOTE_SEALED;
		return 0;
	}
	if (remote->state == REMOTE_OPEN)
		give_up(remote);
	return -1;
}

/* After a yes: CRIU finishes also when it has left the program alone; the caller holds the lock */
static void obey_fate(struct remote_dump *remote, enum image_fate_is is)
{
	if (is == FATE_UNKNOWN)
		return;
	if (is == FATE_STAYS) {
		remote->confirmed = false;
		image_fate_error(&remote->err);
	}
	settle(remote, is == FATE_GONE);
	image_fate_close(&remote->fate);
	remote->state = REMOTE_IDLE;
}

static void finish(struct remote_dump *remote, const struct image_client *client)
{
	take_turn(remote, client);
	if (remote->state == REMOTE_IDLE)
		image_tally_stranger(remote->tally);
	else if (remote->confirmed)
		obey_fate(remote, image_fate_wait(&remote->fate, &client->loop->stop));
	else if (!seal(remote))
		settle(remote, true);
	if (!remote->dump)
		remote->state = REMOTE_IDLE;
	pthread_mutex_unlock(&remote->lock);
}

void remote_dump_serve(struct remote_dump *remote, struct image_client *client)
{
	const struct timeval limit = { .tv_sec = OPEN_MS / 1000 };
	struct remote_request request;
	struct error err = { 0 };

	/* those behind a stranger that says nothing wait for it */
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (remote_request_read(client->fd, &request, &err) <= 0) {
		image_tally_stranger(remote->tally);
		take_turn(remote, client);
		pthread_mutex_unlock(&remote->lock);
	} else if (request.mode == REMOTE_FINISH) {
		finish(remote, client);
	} else if (request.writes) {
		write_image(remote, client, &request);
	} else {
		read_image(remote, client, &request);
	}
}

void remote_dump_look(struct remote_dump *remote)
{
	/* a connection that holds the lock for longer waits for the cache, or for CRIU's end */
	if (pthread_mutex_trylock(&remote->lock))
		return;
	if (remote->dump && remote->confirmed && image_fate_criu_ended(&remote->fate))
		obey_fate(remote, image_fate_look(&remote->fate, false));
	pthread_mutex_unlock(&remote->lock);
}

bool remote_dump_ask(struct remote_dump *remote, const struct image_client *script, int *root_fd)
{
	bool yes;

	pthread_mutex_lock(&remote->lock);
	while (remote->turn < script->order)
		pthread_cond_wait(&remote->changed, &remote->lock);
	yes = remote->state != REMOTE_IDLE && proc_descends(script->pid, remote->criu);
	if (yes && *root_fd < 0 && remote->state == REMOTE_OPEN) {
		image_fate_no_root(&remote->err);
		give_up(remote);
	}
	yes = yes && !seal(remote);
	if (yes && !remote->confirmed) {
		image_fate_watch(&remote->fate, remote->criu, *root_fd, remote->leave_running);
		*root_fd = -1;
	}
	remote->confirmed |= yes;
	pthread_mutex_unlock(&remote->lock);
	return yes;
}

void remote_dump_close(struct remote_dump *remote)
{
	pthread_mutex_lock(&remote->lock);
	if (remote->dump) {
		error_set(&remote->err, CODE_ABORTED, NULL, "the proxy was ended");
		settle(remote, false);
	}
	image_fate_close(&remote->fate);
	pthread_mutex_unlock(&remote->lock);
	image_store_free(&remote->store);
	if (remote->wake_fd >= 0)
		close(remote->wake_fd);
}
