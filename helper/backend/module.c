// SPDX-License-Identifier: GPL-2.0
/* The backend with the kernel module: sends pages by reference, and lets the program run in rounds. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "backend/batch.h"
#include "backend/svm.h"
#include "backend/write_protect.h"
#include "os/proc.h"
#include "pages/page_set.h"
#include "wire/packed.h"

/**
 * struct module - a session of the module
 * @clear_fd: of /proc/PID/clear_refs: a write ends an epoch of the soft-dirty tracker
 * @wp: the write-protect tracker; NULL: the module's soft-dirty tracker
 */
struct module {
	struct backend base;
	struct svm svm;
	int clear_fd;
	struct write_protect *wp;
};

static struct module *module_of(struct backend *backend)
{
	return (struct module *)backend;
}

static int module_track(struct backend *backend, struct error *err)
{
	struct module *module = module_of(backend);

	return module->wp ? write_protect_start(module->wp, err) : svm_track(&module->svm, err);
}

static int module_scan(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct module *module = module_of(backend);

	if (module->wp)
		return write_protect_scan(module->wp, fn, ctx, err);
	if (proc_clear_refs(module->clear_fd, err))
		return -1;
	return svm_scan(&module->svm, SPLICE_VM_SCAN_TRACKED, 0, USER_END, fn, ctx, err);
}

static int module_list(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	return write_protect_list(module_of(backend)->wp, fn, ctx, err);
}

static int module_scan_part(struct backend *backend, uint64_t start, uint64_t end,
			    backend_runs_fn fn, void *ctx, struct error *err)
{
	return write_protect_scan_part(module_of(backend)->wp, start, end, fn, ctx, err);
}

static int module_settle(struct backend *backend, struct backend_settled *settled,
			 struct error *err)
{
	struct module *module = module_of(backend);

	return module->wp ? write_protect_settle(module->wp, settled, err) : 0;
}

static int module_give_up(struct backend *backend, struct error *err)
{
	write_protect_give_up(module_of(backend)->wp);
	return 0;
}

static int module_populated(struct backend *backend, uint64_t start, uint64_t end,
			    backend_runs_fn fn, void *ctx, struct error *err)
{
	return svm_scan(&module_of(backend)->svm, SPLICE_VM_SCAN_POPULATED, start, end, fn, ctx,
			err);
}

/*
 * By read() of the session: it is bound to the address space, so that an exec ends it, and it takes nothing into the
 * program's memory but what is swapped; process_vm_readv() goes by the pid, and makes holes into pages of zeros. SEND into
 * a pipe of our own, to read from there, is two more system calls for the same copy.
 */
static uint32_t read_batch(struct backend *backend, const struct batch *batch, void *buf)
{
	uint32_t nr_pages = 0;

	for (uint32_t i = 0; i < batch->nr; i++) {
		size_t bytes = batch->runs[i].nr_pages * PAGE_BYTES, done;

		/* what is wrong is told by backend_ops.read, which is asked for the first page that did not come */
		if (svm_read(&module_of(backend)->svm, batch->runs[i].addr,
			     (char *)buf + nr_pages * PAGE_BYTES, bytes, &done, &(struct error){ 0 }))
			done = 0;
		nr_pages += done / PAGE_BYTES;
		if (done < bytes)
			break;
	}
	return nr_pages;
}

static int module_send(struct backend *backend, struct backend_send *send,
		       const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		       void *ctx, struct error *err)
{
	const struct batch_way way = { .read = read_batch };
	struct svm_sent sent = { 0 };
	int ret;

	if (packer_is_on(send->packer))
		return batch_send(backend, &way, send, runs, nr_runs, fn, ctx, err);
	ret = svm_send(&module_of(backend)->svm, send->conn->fd, send->cookie, runs, nr_runs, fn,
		       ctx, &sent, err);
	send->pages += sent.pages;
	send->bytes += sent.bytes;
	return ret;
}

static int module_splice(struct backend *backend, uint64_t addr, size_t nr, int pipe_fd, size_t *done,
			 struct error *err)
{
	return svm_splice(&module_of(backend)->svm, addr, nr, pipe_fd, done, err);
}

static int module_read(struct backend *backend, uint64_t addr, void *buf, size_t bytes,
		       size_t *done, struct error *err)
{
	return svm_read(&module_of(backend)->svm, addr, buf, bytes, done, err);
}

static bool module_is_gone(struct backend *backend)
{
	struct pollfd gone = { .fd = backend->gone_fd, .events = backend->gone_events };

	return poll(&gone, 1, 0) > 0;
}

static uint64_t module_overflows(struct backend *backend)
{
	struct splice_vm_info info = { 0 };

	svm_info(&module_of(backend)->svm, &info, &(struct error){ 0 });
	return info.overflows;
}

static void module_close(struct backend *backend)
{
	struct module *module = module_of(backend);

	write_protect_close(module->wp);
	svm_close(&module->svm);
	if (module->clear_fd >= 0)
		close(module->clear_fd);
	free(module);
}

static const struct backend_ops module_ops = {
	.name = "module",
	.track = module_track,
	.scan = module_scan,
	.list = module_list,
	.scan_part = module_scan_part,
	.settle = module_settle,
	.give_up = module_give_up,
	.populated = module_populated,
	.send = module_send,
	.splice = module_splice,
	.read = module_read,
	.is_gone = module_is_gone, .overflows = module_overflows,
	.close = module_close,
};

bool module_is_there(void)
{
	return !access(SPLICE_VM_DEVICE, F_OK);
}

bool module_can(char *why, size_t size)
{
	const uint64_t needed = SPLICE_VM_FEATURE_SEND | SPLICE_VM_FEATURE_NOTIFIER;
	struct splice_vm_info info;
	struct error err = { 0 };

	if (!module_is_there())
		snprintf(why, size, "the module is not loaded");
	else if (svm_probe(&info, &err))
		snprintf(why, size, "the module cannot be used: %.60s", err.what);
	else if ((info.features & needed) != needed)
		snprintf(why, size, "the module is too old");
	else if (!(info.trackers & 1 << SPLICE_VM_TRACKER_SOFT_DIRTY))
		snprintf(why, size, "the module has no soft-dirty tracker here");
	else
		return snprintf(why, size, "the module is loaded");
	return false;
}

static int choose_tracker(struct module *module, enum backend_tracker tracker,
			  const struct backend_hold *hold, struct error *err)
{
	struct backend *base = &module->base;
	bool wp = tracker != TRACKER_SOFT_DIRTY;
	struct error why = { 0 };

	if (!wp)
		snprintf(base->tracker_why, sizeof(base->tracker_why), "--tracker says so");
	else
		wp = write_protect_can(&module->svm, hold, base->tracker_why,
				       sizeof(base->tracker_why));
	if (!wp && tracker == TRACKER_WRITE_PROTECT)
		return error_set(err, CODE_NOT_READY, "leave --tracker out",
				 "the tracker write-protect cannot be had: %s",
				 base->tracker_why);
	if (!wp)
		return 0;
	module->wp = write_protect_open(&module->svm, module->clear_fd, hold, &why);
	if (!module->wp && tracker == TRACKER_WRITE_PROTECT) {
		*err = why;
		return -1;
	}
	if (!module->wp) {
		snprintf(base->tracker_why, sizeof(base->tracker_why), "%.90s", why.what);
		return 0;
	}
	base->tracker = "write-protect";
	base->stands_first = true;
	base->by_parts = true;
	return 0;
}

struct backend *module_open(pid_t pid, enum backend_tracker tracker,
			    const struct backend_hold *hold, struct error *err)
{
	struct module *module = calloc(1, sizeof(*module));

	if (!module) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a backend");
		return NULL;
	}
	module->base = (struct backend){
		.ops = &module_ops, .pid = pid, .tracker = "soft-dirty", .tracks = true,
		.criu_tracks = true,
	};
	module->clear_fd = -1;
	if (svm_open(&module->svm, pid, err)) {
		free(module);
		return NULL;
	}
	/* poll() of the device also reports epochs (EPOLLIN) */
	module->base.gone_fd = module->svm.fd;
	module->clear_fd = proc_open_clear_refs(pid, err);
	if (module->clear_fd >= 0 && !choose_tracker(module, tracker, hold, err))
		return &module->base;
	module_close(&module->base);
	return NULL;
}
