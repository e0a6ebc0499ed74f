// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "services/image_pour.h"
#include "services/remote_reader.h"
#include "services/stream_request.h"

int remote_reader_serve(const struct image_client *client, const struct remote_request *request,
			const struct stored_image *image, struct error *err)
{
	struct image_pour pour = { .image = image, .fd = client->fd, .stop = &client->loop->stop };
	bool by_pipe = *request->snapshot;
	int fd = client->fd;

	if (remote_reply_write(fd, image ? 0 : ENOENT) || !image)
		return 0;
	if (by_pipe)
		pour.fd = stream_pipe_read(fd, O_WRONLY, NULL, err);
	else
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (pour.fd < 0)
		return -1;
	if (by_pipe && image->fd >= 0)
		big_pipe_widen(pour.fd);
	image_pour_all(&pour);
	if (by_pipe)
		close(pour.fd);
	return 0;
}
