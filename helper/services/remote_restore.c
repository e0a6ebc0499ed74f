// SPDX-License-Identifier: GPL-2.0
#include <poll.h>
#include <unistd.h>
#include "os/proc.h"
#include "services/remote_reader.h"
#include "services/remote_restore.h"

void remote_restore_init(struct remote_restore *remote, struct image_restores *restores)
{
	*remote = (struct remote_restore){ .restores = restores, .criu_fd = -1 };
	pthread_mutex_init(&remote->lock, NULL);
}

/* The caller holds the lock. */
static void end(struct remote_restore *remote, bool restored)
{
	struct restore_outcome outcome = { .id = remote->id, .images = remote->images,
					   .missing = remote->missing, .found = true,
					   .restored = restored };

	if (!remote->dump)
		return;
	outcome.dropped = image_store_put(remote->restores->store, remote->dump, restored);
	image_restores_add(remote->restores, &outcome);
	remote->dump = NULL;
	if (remote->criu_fd >= 0)
		close(remote->criu_fd);
	remote->criu_fd = -1;
}

/* The caller holds the lock. */
static void begin(struct remote_restore *remote, const struct image_client *client,
		  struct stored_dump *dump)
{
	struct error ignored = { 0 };

	remote->dump = dump;
	remote->id = client->door->id;
	remote->criu_fd = client->pid > 0 ? proc_pidfd(client->pid, &ignored) : -1;
	remote->images = 0;
	remote->missing = 0;
}

/* Return: the dump of the restore, with a reader more, or NULL: it will not come */
static struct stored_dump *enter(struct remote_restore *remote, const struct image_client *client,
				 bool begins)
{
	struct image_store *store = remote->restores->store;
	struct stored_dump *dump;

	pthread_mutex_lock(&remote->lock);
	if (begins)
		end(remote, false);
	if (!remote->dump) {
		pthread_mutex_unlock(&remote->lock);
		dump = image_store_find(store, client->door->id, client->fd);
		if (!dump)
			return NULL;
		pthread_mutex_lock(&remote->lock);
		if (remote->dump)
			image_store_put(store, dump, false);
		else
			begin(remote, client, dump);
	}
	dump = remote->dump;
	image_store_hold(store, dump);
	pthread_mutex_unlock(&remote->lock);
	return dump;
}

static void read_image(struct remote_restore *remote, struct image_client *client,
		       const struct remote_request *request)
{
	struct stored_dump *dump = enter(remote, client, remote_request_is_list(request));
	const struct stored_image *image = NULL;
	struct restore_outcome outcome = { .id = client->door->id, .missing = 1 };
	struct error err = { 0 };

	if (dump) {
		image = image_store_get(remote->restores->store, dump, request->key);
		pthread_mutex_lock(&remote->lock);
		remote->images += !!image;
		remote->missing += !image;
		pthread_mutex_unlock(&remote->lock);
	}
	remote_reader_serve(client, request, image, &err);
	if (dump)
		image_store_put(remote->restores->store, dump, false);
	else
		image_restores_add(remote->restores, &outcome);
}

void remote_restore_serve(struct remote_restore *remote, struct image_client *client)
{
	struct remote_request request;
	struct error err = { 0 };

	/* a dump's place is the proxy: here its pipe breaks */
	if (remote_request_read(client->fd, &request, &err) <= 0 || request.writes)
		return;
	if (request.mode != REMOTE_FINISH) {
		read_image(remote, client, &request);
		return;
	}
	pthread_mutex_lock(&remote->lock);
	end(remote, true);
	pthread_mutex_unlock(&remote->lock);
}

void remote_restore_look(struct remote_restore *remote)
{
	struct pollfd pfd = { .events = POLLIN };

	pthread_mutex_lock(&remote->lock);
	pfd.fd = remote->criu_fd;
	if (remote->dump && pfd.fd >= 0 && poll(&pfd, 1, 0) > 0)
		end(remote, false);
	pthread_mutex_unlock(&remote->lock);
}

void remote_restore_close(struct remote_restore *remote)
{
	pthread_mutex_lock(&remote->lock);
	end(remote, false);
	pthread_mutex_unlock(&remote->lock);
}
