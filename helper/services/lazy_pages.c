// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/end_signals.h"
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "os/fds.h"
#include "services/lazy_pages.h"
#include "services/lazy_resume.h"
#include "services/lazy_serve.h"
#include "services/status_fd.h"

static int open_signals(struct lazy_serve *serve, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = serve };

	serve->signals = end_signals_open(err);
	if (serve->signals < 0)
		return -1;
	serve->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (serve->epoll < 0 || epoll_ctl(serve->epoll, EPOLL_CTL_ADD, serve->signals, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for signals");
	return 0;
}

static int open_dir(const char *path, struct error *err)
{
	int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		error_errno(err, CODE_USAGE, NULL, "cannot open the directory \"%s\"", path);
	return fd;
}

/* The images of all tasks are read at once: what they lack is told before a restore begins. */
static int read_memories(struct lazy_serve *serve, int images_fd, bool remote, struct error *err)
{
	pid_t *pids;
	size_t nr;
	int ret = criu_tree_read(images_fd, &pids, &nr, err);

	for (size_t i = 0; !ret && i < nr; i++) {
		struct lazy_memory *memory = lazy_memory_new(images_fd, pids[i],
							     remote ? &serve->uplink.link : NULL, err);

		if (!memory) {
			ret = -1;
			break;
		}
		memory->next = serve->memories;
		serve->memories = memory;
	}
	free(pids);
	return ret;
}

static size_t form_of(const struct lazy_serve *serve)
{
	for (const struct lazy_memory *memory = serve->memories; memory; memory = memory->next)
		if (memory->images.list->map.wide)
			return PAGE_COMMAND_WIDE;
	return PAGE_COMMAND_NARROW;
}

static int tell_ready(int fd, struct error *err)
{
	report_both("ready", NULL, "waiting for criu restore --lazy-pages");
	return status_fd_tell(fd, err);
}

/* A new keeper, before anything is there that could be lost. */
static int begin_anew(struct lazy_serve *serve, const struct lazy_pages_options *opts, int images_fd, struct error *err)
{
	bool remote = opts->address || opts->ps_socket >= 0;

	return journal_open(&serve->journal, err) ||
	       lazy_keeper_start(&serve->keeper, &serve->journal, serve->work_fd, -1, err) ||
	       open_signals(serve, err) || read_memories(serve, images_fd, remote, err) ||
	       (remote && lazy_uplink_open(&serve->uplink, opts, form_of(serve), serve->epoll, err)) ||
	       lazy_serve_expect(serve, err) ? -1 : 0;
}

/* Each helper before this one, also one that was killed while it took up, has recorded a connection. */
static uint64_t count_links(const struct journal *journal)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < journal_nr(journal); i++)
		nr += journal->entries[i].op == LAZY_RECORD_LINK;
	return nr;
}

static int resume_uplink(struct lazy_serve *serve, const struct lazy_pages_options *opts, struct lazy_resume *resume,
			 struct error *err)
{
	struct lazy_page known[2];
	int fd = resume->link_fd;

	if (fd >= 0 && lazy_memory_known(serve->memories, count_links(&serve->journal), known, err))
		return -1;
	resume->link_fd = -1;
	return lazy_uplink_resume(&serve->uplink, opts, form_of(serve), serve->epoll, fd, known, err);
}

static int begin_again(struct lazy_serve *serve, const struct lazy_pages_options *opts, int images_fd,
		       struct lazy_resume *resume, struct error *err)
{
	bool remote = opts->address || opts->ps_socket >= 0;
	struct error untold = { 0 };

	serve->borrows = true;
	if (open_signals(serve, err) || read_memories(serve, images_fd, remote, err) ||
	    lazy_resume_replay(resume, serve, err) || (remote && resume_uplink(serve, opts, resume, err)) ||
	    lazy_keeper_start(&serve->keeper, &serve->journal, serve->work_fd, resume->sock, err))
		return -1;
	serve->borrows = false;
	lazy_resume_go_on(resume);
	if (lazy_link_is_open(&serve->uplink.link))
		lazy_serve_source_is_back(serve);
	report_both("resumed", json_pack("{s:I}", "restores", (json_int_t)serve->nr),
		    "what a killed lazy-pages has left is taken up");
	/* to end now would give zeros to a program that runs */
	if (tell_ready(opts->status_fd, &untold))
		report_error(&untold);
	return 0;
}

static int begin(struct lazy_serve *serve, const struct lazy_pages_options *opts, struct error *err)
{
	int images_fd = open_dir(opts->images_dir, err), ret;
	struct lazy_resume resume;

	if (images_fd < 0)
		return -1;
	fds_allow_many();
	/* a log whose reader hangs must not hold up a program that waits for a page */
	report_share_output();
	serve->work_fd = open_dir(opts->work_dir ? opts->work_dir : opts->images_dir, err);
	ret = serve->work_fd < 0 ? -1 : lazy_resume_take(&resume, serve->work_fd, &serve->journal, err);
	if (ret > 0) {
		ret = begin_again(serve, opts, images_fd, &resume, err);
		lazy_resume_free(&resume);
	} else if (!ret) {
		ret = begin_anew(serve, opts, images_fd, err) || tell_ready(opts->status_fd, err) ? -1 : 0;
	}
	close(images_fd);
	return ret;
}

static void tell_result(const struct lazy_serve *serve, const struct error *err)
{
	struct lazy_counts counts = lazy_serve_counts(serve);
	json_t *fields = json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
				   "exit", err->code, "class", error_code_name(err->code),
				   "restores", (json_int_t)serve->complete, "failed", (json_int_t)serve->failed,
				   "pages", (json_int_t)counts.installed,
				   "bytes", (json_int_t)(counts.installed * PAGE_BYTES),
				   "fault_pages", (json_int_t)counts.fault,
				   "background_pages", (json_int_t)counts.background,
				   "received_pages", (json_int_t)serve->uplink.link.received,
				   "faults", (json_int_t)serve->faults, "zero_pages", (json_int_t)serve->zero,
				   "losses", (json_int_t)serve->uplink.losses);

	if (error_is_set(err))
		report_error(err);
	report_event("result", fields);
}

int lazy_pages_run(const struct lazy_pages_options *opts)
{
	struct lazy_serve serve = {
		.signals = -1, .epoll = -1, .work_fd = -1, .restores = opts->restores,
		.uplink = { .listen_fd = -1, .aside = -1, .link = { .fd = -1 }, .journal = &serve.journal }, .journal.fd = -1,
	};
	struct error err = { 0 };

	if (!begin(&serve, opts, &err))
		lazy_serve_run(&serve, &err);
	lazy_serve_end(&serve, &err);
	tell_result(&serve, &err);
	if (!serve.holds)
		lazy_keeper_end(&serve.keeper);
	lazy_serve_free(&serve);
	journal_close(&serve.journal);
	return err.code;
}
