/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A backend whose answers the test decides. Included by one test, after cmocka.h. Pages go out as
 * frames, with the page's number in each page.
 */
#ifndef MIGRATE_TESTS_FAKE_BACKEND_H
#define MIGRATE_TESTS_FAKE_BACKEND_H

#include <stdatomic.h>
#include <string.h>
#include "backend/backend.h"
#include "base/page.h"
#include "wire/stream.h"

#define FAKE_BASE	0x7f0000000000UL
#define AT(page)	(FAKE_BASE + (page) * PAGE_BYTES)
#define FAKE_RUNS	16
#define FAKE_SCANS	8

/**
 * struct fake_scan - what one scan tells
 */
struct fake_scan {
	struct splice_vm_run runs[FAKE_RUNS];
	uint32_t nr;
};

/**
 * struct fake - the backend of one address space
 * @populated: what there is
 * @unreadable: first of the pages that cannot be read, as a number of a page; 0: all can
 * @flags: how the pages of a send end; 0: SPLICE_VM_RUN_SENT, and they are sent
 * @scans: told one after another; later scans tell nothing
 * @tracked: how often track was called; @sent: pages in all
 * @on_scan: called by each scan, before it tells anything; NULL: nothing is
 * @gone: the process has called exec
 */
struct fake {
	struct backend backend;
	struct splice_vm_run populated[FAKE_RUNS];
	uint32_t nr_populated, flags;
	uint64_t unreadable;
	atomic_ulong sent;
	struct fake_scan scans[FAKE_SCANS];
	size_t nr_scans;
	unsigned int tracked;
	void (*on_scan)(struct fake *fake, size_t scan);
	bool gone;
};

static struct fake *fake_of(struct backend *backend)
{
	return (struct fake *)backend;
}

static int fake_track(struct backend *backend, struct error *err)
{
	fake_of(backend)->tracked++;
	return 0;
}

static int fake_scan(struct backend *backend, backend_runs_fn fn, void *ctx, struct error *err)
{
	struct fake *fake = fake_of(backend);
	struct fake_scan *scan = &fake->scans[fake->nr_scans];

	if (fake->on_scan)
		fake->on_scan(fake, fake->nr_scans);
	if (fake->nr_scans == FAKE_SCANS)
		return 0;
	fake->nr_scans++;
	return scan->nr ? fn(ctx, scan->runs, scan->nr, err) : 0;
}

static int fake_populated(struct backend *backend, uint64_t start, uint64_t end,
			  backend_runs_fn fn, void *ctx, struct error *err)
{
	struct fake *fake = fake_of(backend);

	for (uint32_t i = 0; i < fake->nr_populated; i++)
		if (fake->populated[i].addr >= start && fake->populated[i].addr < end &&
		    fn(ctx, &fake->populated[i], 1, err))
			return -1;
	return 0;
}

static int fake_read(struct backend *backend, uint64_t addr, void *buf, size_t bytes, size_t *done,
		     struct error *err)
{
	uint64_t unreadable = fake_of(backend)->unreadable;
	uint8_t *page = buf;

	memset(buf, 0, bytes);
	for (*done = 0; *done < bytes; *done += PAGE_BYTES, page += PAGE_BYTES) {
		uint64_t number = (addr + *done - FAKE_BASE) / PAGE_BYTES;

		if (unreadable && number >= unreadable)
			break;
		memcpy(page, &number, sizeof(number));
	}
	return 0;
}

static int fake_send(struct backend *backend, struct backend_send *send,
		     const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		     void *ctx, struct error *err)
{
	struct fake *fake = fake_of(backend);
	size_t done;

	for (uint32_t i = 0; i < nr_runs; i++) {
		struct splice_vm_run run = runs[i];
		size_t bytes = run.nr_pages * PAGE_BYTES;

		run.flags = fake->flags ?: SPLICE_VM_RUN_SENT;
		if (!fake->flags) {
			fake_read(backend, run.addr, send->buf, bytes, &done, err);
			if (frame_send_copy(send->conn, send->cookie, run.addr, run.nr_pages,
					    send->buf, err))
				return -1;
			send->pages += run.nr_pages;
			send->bytes += bytes;
			fake->sent += run.nr_pages;
		}
		if (fn(ctx, &run, 1, err))
			return -1;
	}
	return 0;
}

static bool fake_is_gone(struct backend *backend)
{
	return fake_of(backend)->gone;
}

static uint64_t fake_overflows(struct backend *backend)
{
	return 0;
}

static void fake_close(struct backend *backend)
{
}

static const struct backend_ops fake_ops = {
	.name = "fake", .track = fake_track, .scan = fake_scan, .populated = fake_populated,
	.send = fake_send, .read = fake_read, .is_gone = fake_is_gone,
	.overflows = fake_overflows, .close = fake_close,
};

static inline void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->backend = (struct backend){
		.ops = &fake_ops, .tracker = "soft-dirty", .tracks = true, .criu_tracks = true,
		.gone_fd = -1,
	};
}

static inline struct splice_vm_run run_of(uint64_t page, uint32_t nr, uint32_t flags)
{
	return (struct splice_vm_run){ .addr = AT(page), .nr_pages = nr, .flags = flags };
}

static inline void fake_add_scan(struct fake *fake, size_t scan, struct splice_vm_run run)
{
	fake->scans[scan].runs[fake->scans[scan].nr++] = run;
}

#endif
