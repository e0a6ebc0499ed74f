// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backend/run_list.h"
#include "os/pending.h"
#include "pages/sets.h"
#include "source/attributes.h"
#include "source/announce.h"
#include "source/images.h"

#define PIECE_BYTES	(1UL << 20)
#define CLAIM_RUNS	512

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

/** struct outgoing - one image on its way: @sent of @total bytes; @fd is it here */
struct outgoing {
	const char *name;
	int fd;
	uint64_t sent, total;
};

static int send_range(const struct images *images, struct outgoing *out,
		      const struct omit_piece *range, uint8_t *buf, struct error *err)
{
	uint64_t at = range->offset, left = range->bytes;

	while (left) {
		ssize_t n = pread(out->fd, buf, left < PIECE_BYTES ? left : PIECE_BYTES, at);

		if (n <= 0)
			return error_errno(err, CODE_INTERNAL, NULL, "cannot read image %s", out->name);
		if (mailbox_failed(images->box, err) ||
		    send_piece(images, out->name, out->sent, buf, n, out->sent + n == out->total, err))
			return -1;
		out->sent += n;
		at += n;
		left -= n;
	}
	return 0;
}

static int send_ranges(const struct images *images, struct outgoing *out,
		       const struct omit_piece *ranges, size_t nr, uint8_t *buf, struct error *err)
{
	for (size_t i = 0; i < nr; i++)
		if (send_range(images, out, &ranges[i], buf, err))
			return -1;
	images->figures->image_bytes += out->total;
	return out->total ? 0 : send_piece(images, out->name, 0, buf, 0, true, err);
}

static int send_file(const struct images *images, const char *name, uint8_t *buf, struct error *err)
{
	int fd = openat(images->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), ret;
	struct outgoing out = { .name = name, .fd = fd };
	const struct omit *omit = &images->omit;
	struct omit_piece all = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot open image %s", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (omit->pages && !strcmp(name, omit->name)) {
		out.total = omit->bytes;
		ret = send_ranges(images, &out, omit->pieces, omit->nr, buf, err);
	} else {
		out.total = all.bytes = st.st_size;
		ret = send_ranges(images, &out, &all, 1, buf, err);
	}
	close(fd);
	return ret;
}

static int restore_go(const struct images *images, uint32_t files, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	struct source_attributes attributes = { 0 };
	struct reconnect_message reconnect = { 0 };
	int ret;

	frozen_time_enter(&images->figures->frozen, MIGRATE__FROZEN_PART__ATTRIBUTES_HERE);
	go.files = files;
	go.has_pending = true;
	go.has_oom_score_adj = true;
	if (pending_read(images->process->pid, &go.pending, err) ||
	    proc_oom_score_adj(images->process->pid, &go.oom_score_adj, err))
		return -1;
	ret = source_attributes_read(&attributes, images->process->pid, images->group, err);
	source_attributes_fill(&attributes, &go);
	if (!ret)
		ret = reconnects_streams(&images->process->attached.reconnects,
					 images->process->pid, &reconnect, err);
	go.journal_streams = reconnect.stream_list;
	go.n_journal_streams = reconnect.nr_streams;
	msg.body_case = MIGRATE__CONTROL__BODY_RESTORE_GO;
	msg.restore_go = &go;
	if (!ret)
		ret = control_send(images->ctl, &msg, err);
	source_attributes_free(&attributes);
	reconnect_message_free(&reconnect);
	frozen_time_enter(&images->figures->frozen, MIGRATE__FROZEN_PART__WAIT);
	return ret;
}

/* What frames have carried of mappings that are never restored lazily. */
static int find_elsewhere(struct source_process *process, struct page_set *elsewhere,
			  struct error *err)
{
	const struct criu_task *task = &process->task;
	struct source_mm *mm = &process->mm;
	struct run run;
	int ret = 0;

	pthread_mutex_lock(&mm->unsent_lock);
	for (size_t i = 0; i < task->vmas.nr && !ret; i++) {
		uint64_t addr = task->vmas.vmas[i].start, end = task->vmas.vmas[i].end;

		for (; !ret && !task->lazyable[i] &&
		       sets_next_only(&mm->populated, &mm->unsent, addr, end, 0, &run);
		     addr = run_end(&run))
			ret = page_set_add(elsewhere, run.addr, run.nr_pages, err);
	}
	pthread_mutex_unlock(&mm->unsent_lock);
	return ret;
}

static void claim(struct source_mm *mm, const struct page_set *carried)
{
	struct splice_vm_run runs[CLAIM_RUNS];
	uint64_t at = 0;
	uint32_t nr;

	while ((nr = runs_take(carried, &at, runs, CLAIM_RUNS, UINT32_MAX)))
		source_mm_claim(mm, runs, nr);
}

int images_omit(struct images *images, struct error *err)
{
	struct source_process *process = images->process;
	struct page_set elsewhere = { 0 }, carried = { 0 };
	int ret;

	if (page_set_init(&elsewhere) || page_set_init(&carried))
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot make a page set");
	else
		ret = find_elsewhere(process, &elsewhere, err) ||
		      omit_pages(images->dir_fd, process->task.pid, &elsewhere, &carried,
				 &images->omit, err) ? -1 : 0;
	if (!ret)
		claim(&process->mm, &carried);
	page_set_destroy(&elsewhere);
	page_set_destroy(&carried);
	if (ret)
		omit_free(&images->omit);
	return ret;
}

int images_send(struct images *images, struct error *err)
{
	int fd = openat(images->dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint8_t *buf = malloc(PIECE_BYTES);
	struct dirent *entry;
	uint32_t files = 0;
	int ret = 0;

	frozen_time_enter(&images->figures->frozen, MIGRATE__FROZEN_PART__SEND_IMAGES);
	if (!dir || !buf)
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot list the images");
	if (!ret)
		ret = announce_images(images->ctl, images->dir_fd,
				      images->omit.pages * PAGE_BYTES, err);
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
	omit_free(&images->omit);
	return ret ? ret : restore_go(images, files, err);
}
