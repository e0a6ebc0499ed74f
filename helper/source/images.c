// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backend/run_list.h"
#include "base/spread.h"
#include "os/cgroup_homes.h"
#include "os/pending.h"
#include "source/attributes.h"
#include "source/announce.h"
#include "source/images.h"
#include "source/recopy.h"

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

/* Return: what is left out of image @name; NULL: nothing */
static const struct omit *omit_find(const struct images *images, const char *name)
{
	for (size_t i = 0; i < images->nr_omit; i++)
		if (images->omit[i].pages && !strcmp(name, images->omit[i].name))
			return &images->omit[i];
	return NULL;
}

static int send_file(const struct images *images, const char *name, uint8_t *buf, struct error *err)
{
	int fd = openat(images->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), ret;
	struct outgoing out = { .name = name, .fd = fd };
	const struct omit *omit = omit_find(images, name);
	struct omit_piece all = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		error_errno(err, CODE_INTERNAL, NULL, "cannot open image %s", name);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (omit) {
		out.total = omit->bytes;
		ret = send_ranges(images, &out, omit->pieces, omit->nr, buf, err);
	} else {
		out.total = all.bytes = st.st_size;
		ret = send_ranges(images, &out, &all, 1, buf, err);
	}
	close(fd);
	return ret;
}

/** struct said - what RestoreGo says of one process, with all that it points to; @at: its group, from that of serve */
struct said {
	struct source_process *process;
	Migrate__Process msg;
	char sub_group[CGROUP_SUB_BYTES], at[2 * CGROUP_SUB_BYTES];
	struct reconnect_message reconnect;
};

static int fill_group(struct said *said, const struct images *images, pid_t pid, struct error *err)
{
	const struct cgroup *group = images->group;
	char line[PATH_MAX];
	bool inside;

	/* no groups: one process, which a signal stopped */
	if (group->kind == CGROUP_NONE)
		return 0;
	if (cgroup_line(pid, group->kind, line, sizeof(line)) ||
	    cgroup_homes_sub(group, line, said->sub_group, &inside))
		return error_set(err, CODE_INTERNAL, NULL, "cannot tell the control group of process %d",
				 pid);
	/* there the namespace begins with the group of serve, as it does here with one above the root's */
	snprintf(said->at, sizeof(said->at), "%s%s", images->tree->cgroup_top, said->sub_group);
	if (*said->at)
		said->msg.sub_group = said->at;
	return 0;
}

static int said_read(struct said *said, const struct images *images, struct error *err)
{
	struct source_process *process = said->process;
	pid_t pid = process->pid;

	migrate__process__init(&said->msg);
	said->msg.pid = process->status.ns_pid;
	said->msg.has_pending = true;
	said->msg.has_oom_score_adj = true;
	if (fill_group(said, images, pid, err))
		return -1;
	if (pending_read(pid, &said->msg.pending, err) ||
	    proc_oom_score_adj(pid, &said->msg.oom_score_adj, err))
		return -1;
	if (!process->attributes_read &&
	    source_attributes_read_in(&process->attributes, pid, images->group, said->sub_group, err))
		return -1;
	process->attributes_read = true;
	source_attributes_fill(&process->attributes, &said->msg);
	return 0;
}

/** struct reading - said_read() of all processes, in any order */
struct reading {
	const struct images *images;
	struct said *said;
};

static int read_one(void *ctx, size_t at, struct error *err)
{
	const struct reading *reading = ctx;

	return said_read(&reading->said[at], reading->images, err);
}

/* @begun: see reconnects_streams() */
static int said_reconnect(struct said *said, struct sockets *begun, struct error *err)
{
	const struct source_process *process = said->process;

	if (reconnects_streams(&process->attached.reconnects, process->pid, begun, &said->reconnect, err))
		return -1;
	said->msg.journal_streams = said->reconnect.stream_list;
	said->msg.n_journal_streams = said->reconnect.nr_streams;
	return 0;
}

static void said_free(struct said *said, size_t nr)
{
	for (size_t i = 0; said && i < nr; i++)
		reconnect_message_free(&said[i].reconnect);
	free(said);
}

/** struct said_shared - what RestoreGo says of shared memory */
struct said_shared {
	Migrate__SharedMemory *items, **list;
	size_t nr;
};

static int said_shared_fill(struct said_shared *said, const struct source_shms *shms)
{
	said->items = calloc(shms->nr + 1, sizeof(*said->items));
	said->list = calloc(shms->nr + 1, sizeof(*said->list));
	if (!said->items || !said->list)
		return -1;
	for (size_t i = 0; i < shms->nr; i++) {
		Migrate__SharedMemory *to = &said->items[said->nr];

		if (shms->list[i]->gone)
			continue;
		migrate__shared_memory__init(to);
		to->object = shms->list[i]->object;
		to->shmid = shms->list[i]->named ? 0 : shms->list[i]->ino;
		to->has_bytes = to->has_uid = to->has_gid = to->has_mode = true;
		to->bytes = shms->list[i]->st.st_size;
		to->uid = shms->list[i]->st.st_uid;
		to->gid = shms->list[i]->st.st_gid;
		to->mode = shms->list[i]->st.st_mode & 07777;
		said->list[said->nr++] = to;
	}
	return 0;
}

static void said_shared_free(struct said_shared *said)
{
	free(said->items);
	free(said->list);
}

static int restore_go(const struct images *images, uint32_t files, struct error *err)
{
	size_t nr = images->tree->nr;
	Migrate__Process **list = calloc(nr, sizeof(*list));
	struct said *said = calloc(nr, sizeof(*said));
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RestoreGo go = MIGRATE__RESTORE_GO__INIT;
	struct reading reading = { .images = images, .said = said };
	struct source_process *process;
	struct said_shared shared = { 0 };
	struct sockets begun = { 0 };
	int ret = 0;

	frozen_time_enter(&images->figures->frozen, MIGRATE__FROZEN_PART__ATTRIBUTES_HERE);
	if (!list || !said || said_shared_fill(&shared, images->shms))
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
	tree_for_each(images->tree, process) {
		if (ret)
			break;
		list[go.n_processes] = &said[go.n_processes].msg;
		said[go.n_processes++].process = process;
	}
	if (!ret)
		ret = spread_run(go.n_processes, read_one, &reading, err);
	for (size_t i = 0; i < go.n_processes && !ret; i++)
		ret = said_reconnect(&said[i], &begun, err);
	go.files = files;
	go.processes = list;
	go.shared = shared.list;
	go.n_shared = shared.nr;
	msg.body_case = MIGRATE__CONTROL__BODY_RESTORE_GO;
	msg.restore_go = &go;
	if (!ret)
		ret = control_send(images->ctl, &msg, err);
	said_free(said, nr);
	said_shared_free(&shared);
	free(begun.inos);
	free(list);
	frozen_time_enter(&images->figures->frozen, MIGRATE__FROZEN_PART__WAIT);
	return ret;
}

/* What frames have carried of mappings that are never restored lazily. */
static int find_elsewhere(struct source_process *process, struct page_set *elsewhere,
			  struct error *err)
{
	const struct criu_task *task = &process->task;

	for (size_t i = 0; i < task->vmas.nr; i++) {
		const struct vma *vma = &task->vmas.vmas[i];

		if (!task->lazyable[i] &&
		    source_mm_add_sent(&process->mm, vma->start, vma->end, elsewhere, err))
			return -1;
	}
	return 0;
}

static void claim(struct source_mm *mm, const struct page_set *carried)
{
	struct splice_vm_run runs[CLAIM_RUNS];
	uint64_t at = 0;
	uint32_t nr;

	while ((nr = runs_take(carried, &at, runs, CLAIM_RUNS, UINT32_MAX)))
		source_mm_claim(mm, runs, nr);
}

static int omit_of(const struct images *images, struct source_process *process, struct omit *omit,
		   struct error *err)
{
	struct page_set elsewhere = { 0 }, carried = { 0 };
	int ret;

	ret = find_elsewhere(process, &elsewhere, err) ||
	      omit_pages(images->dir_fd, process->task.pid, &elsewhere, &carried, omit, err) ? -1 : 0;
	/* CRIU has sent the pages over a connection: only then it goes on while they are read */
	if (!ret && images->shms->dump.nr)
		ret = recopy_code(images->dir_fd, process, &carried, omit, err);
	if (!ret)
		claim(&process->mm, &carried);
	page_set_destroy(&elsewhere);
	page_set_destroy(&carried);
	return ret;
}

static void omits_free(struct images *images)
{
	for (size_t i = 0; i < images->nr_omit; i++)
		omit_free(&images->omit[i]);
	free(images->omit);
	images->omit = NULL;
	images->nr_omit = 0;
}

int images_omit(struct images *images, struct error *err)
{
	struct source_process *process;
	int ret = 0;

	images->omit = calloc(images->tree->nr, sizeof(*images->omit));
	if (!images->omit)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of pages");
	tree_for_each(images->tree, process)
		if (!ret)
			ret = omit_of(images, process, &images->omit[images->nr_omit++], err);
	if (ret)
		omits_free(images);
	return ret;
}

static uint64_t omitted_bytes(const struct images *images)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < images->nr_omit; i++)
		pages += images->omit[i].pages;
	return pages * PAGE_BYTES;
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
		ret = announce_images(images->ctl, images->dir_fd, omitted_bytes(images), images->tmpfs_bytes, err);
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
	omits_free(images);
	return ret ? ret : restore_go(images, files, err);
}

/* "core-12.img", unlike "files.img" and "remap-fpath.img" */
static bool has_number(const char *name)
{
	const char *dash = strchr(name, '-');

	return dash && isdigit(dash[1]);
}

void images_drop(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_REG && has_number(entry->d_name))
			unlinkat(dir_fd, entry->d_name, 0);
	if (dir)
		closedir(dir);
}
