// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/pending.h"
#include "source/attributes.h"
#include "source/announce.h"
#include "source/images.h"

#define PIECE_BYTES	(1UL << 20)

static int send_piece(const struct images *images, const char *name, uint64_t offset, uint8_t *data,
		      size_t bytes, bool last, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__ImageFile file = MIGRATE__IMAGE_FILE__INIT;

	file.name = (char *)name;
	file.offset = offset;
	file.data.data = data;
	file.data.len = bytes;
	file.last = last;
	msg.body_case = MIGRATE__CONTROL__BODY_IMAGE_FILE;
	msg.image_file = &file;
	return control_send(images->ctl, &msg, err);
}

static int send_file(const struct images *images, const char *name, uint8_t *buf, struct error *err)
{
	int fd = openat(images->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t offset = 0;
	struct stat st;
	int ret = 0;

	if (fd < 0 || fstat(fd, &st)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot open image %s", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	do {
		ssize_t n = read(fd, buf, PIECE_BYTES);

		if (n < 0 || (!n && offset < (uint64_t)st.st_size)) {
			ret = error_errno(err, CODE_INTERNAL, NULL, "cannot read image %s", name);
			break;
		}
		ret = mailbox_failed(images->box, err);
		if (!ret)
			ret = send_piece(images, name, offset, buf, n,
					 offset + n >= (uint64_t)st.st_size, err);
		offset += n;
	} while (!ret && offset < (uint64_t)st.st_size);
	close(fd);
	return ret;
}

/** struct said - what RestoreGo says of one process, with all that it points to */
struct said {
	Migrate__Process msg;
	struct source_attributes attributes;
	struct reconnect_message reconnect;
};

static int said_fill(struct said *said, const struct images *images,
		     const struct source_process *process, struct error *err)
{
	pid_t pid = process->pid;

	migrate__process__init(&said->msg);
	said->msg.pid = process->status.ns_pid;
	said->msg.has_pending = true;
	said->msg.has_oom_score_adj = true;
	if (pending_read(pid, &said->msg.pending, err) ||
	    proc_oom_score_adj(pid, &said->msg.oom_score_adj, err) ||
	    source_attributes_read(&said->attributes, pid, images->group, err) ||
	    reconnects_streams(&process->attached.reconnects, pid, &said->reconnect, err))
		return -1;
	source_attributes_fill(&said->attributes, &said->msg);
	said->msg.journal_streams = said->reconnect.stream_list;
	said->msg.n_journal_streams = said->reconnect.nr_streams;
	return 0;
}

static void said_free(struct said *said, size_t nr)
{
	for (size_t i = 0; said && i < nr; i++) {
		source_attributes_free(&said[i].attributes);
		reconnect_message_free(&said[i].reconnect);
	}
	free(said);
}

static int restore_go(const struct images *images, uint32_t files, struct error *err)
{
	size_t nr = images->tree->nr;
	Migrate__Process **list = calloc(nr, sizeof(*list));
	struct said *said = calloc(nr, sizeof(*said));
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	struct source_process *process;
	int ret = 0;

	frozen_time_enter(images->frozen, MIGRATE__FROZEN_PART__ATTRIBUTES_HERE);
	if (!list || !said)
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	tree_for_each(images->tree, process) {
		if (ret)
			break;
		list[go.n_processes] = &said[go.n_processes].msg;
		ret = said_fill(&said[go.n_processes++], images, process, err);
	}
	go.files = files;
	go.processes = list;
	msg.body_case = MIGRATE__CONTROL__BODY_RESTORE_GO;
	msg.restore_go = &go;
	if (!ret)
		ret = control_send(images->ctl, &msg, err);
	said_free(said, nr);
	free(list);
	frozen_time_enter(images->frozen, MIGRATE__FROZEN_PART__WAIT);
	return ret;
}

int images_send(const struct images *images, struct error *err)
{
	int fd = openat(images->dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint8_t *buf = malloc(PIECE_BYTES);
	struct dirent *entry;
	uint32_t files = 0;
	int ret = 0;

	frozen_time_enter(images->frozen, MIGRATE__FROZEN_PART__SEND_IMAGES);
	if (!dir || !buf)
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
	if (!ret)
		ret = announce_images(images->ctl, images->dir_fd, err);
	/* `parent` is a link, and of this machine only */
	while (!ret && (entry = readdir(dir)))
		if (entry->d_type == DT_REG) {
			ret = send_file(images, entry->d_name, buf, err);
			files++;
		}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	free(buf);
	return ret ? ret : restore_go(images, files, err);
}
