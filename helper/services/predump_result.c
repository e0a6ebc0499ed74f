// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/resource.h>
#include "base/clock.h"
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "services/predump_result.h"

void predump_result_sum(struct predump_figures *figures, const struct predump_task *tasks, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct page_counts *counts = &tasks[i].counts;

		figures->scanned += tasks[i].scanned;
		if (!tasks[i].taken)
			continue;
		figures->images++;
		figures->pages += counts->copied + counts->by_reference;
		figures->by_reference += counts->by_reference;
		figures->same += counts->same;
		figures->vanished += counts->vanished;
		figures->unreadable += counts->unreadable;
	}
}

static json_t *left_of(const struct predump_task *task)
{
	json_t *all = json_array();

	for (size_t i = 0; i < task->nr_left && i < PAGE_LEFT_MAX; i++) {
		const struct predump_left *left = &task->left[i];
		char start[20];

		snprintf(start, sizeof(start), "%#" PRIx64, left->pages.addr);
		json_array_append_new(all, json_pack("{s:s,s:I,s:o}", "address", start, "pages",
						     (json_int_t)left->pages.nr, "mapping",
						     report_text(left->name)));
	}
	return all;
}

static json_t *task_fields(const struct predump_task *task)
{
	const struct page_counts *counts = &task->counts;

	if (!task->taken)
		return json_pack("{s:i,s:o,s:s,s:s}", "pid", task->pid, "program",
				 report_text(task->status.comm), "class", error_code_name(task->err.code),
				 "why", task->err.what);
	return json_pack("{s:i,s:o,s:I,s:I,s:I,s:I,s:o,s:I}", "pid", task->pid, "program",
			 report_text(task->status.comm), "pages",
			 (json_int_t)(counts->copied + counts->by_reference), "by_reference",
			 (json_int_t)counts->by_reference, "in_parent", (json_int_t)counts->same,
			 "unreadable", (json_int_t)counts->unreadable, "left_out", left_of(task),
			 "ns", (json_int_t)task->ns);
}

void predump_result_task(const struct predump_task *task)
{
	const struct page_counts *counts = &task->counts;
	char text[TEXT_MAX];

	if (!task->taken)
		snprintf(text, sizeof(text), "no images of process %d (%s): %s", task->pid,
			 task->status.comm, task->err.what);
	else
		snprintf(text, sizeof(text), "process %d (%s): %" PRIu64 " pages, %" PRIu64
			 " more in the parent%s%s", task->pid, task->status.comm,
			 counts->copied + counts->by_reference, counts->same,
			 task->nr_left ? ", not readable: " : "", task->nr_left ? task->left[0].name : "");
	report_both(task->taken ? "process" : "left", task_fields(task), text);
}

static json_t *failed_of(const struct predump_task *tasks, size_t nr)
{
	json_t *all = json_array();

	for (size_t i = 0; i < nr; i++)
		if (error_is_set(&tasks[i].err))
			json_array_append_new(all, task_fields(&tasks[i]));
	return all;
}

/* How the pages went, by what the run has found to be possible. */
static const char *way_of(const struct predump_figures *figures)
{
	return figures->by_reference ? "reference" : "copy";
}

static double cpu_seconds(const struct rusage *usage)
{
	return usage->ru_utime.tv_sec + usage->ru_stime.tv_sec +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

void predump_result_tell(const struct predump_figures *figures, const struct predump_task *tasks, size_t nr,
			 const struct error *err)
{
	struct rusage usage;
	json_t *fields;

	getrusage(RUSAGE_SELF, &usage);
	fields = json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:b,s:b,s:o,s:I,s:f,s:I}",
			   "exit", err->code, "class", error_code_name(err->code),
			   "images", (json_int_t)figures->images, "pages", (json_int_t)figures->pages,
			   "bytes", (json_int_t)(figures->pages * PAGE_BYTES),
			   "by_reference", (json_int_t)figures->by_reference,
			   "in_parent", (json_int_t)figures->same,
			   "vanished", (json_int_t)figures->vanished,
			   "unreadable", (json_int_t)figures->unreadable,
			   "way", way_of(figures), "direct", figures->direct, "chain", figures->chains,
			   "failed", failed_of(tasks, nr),
			   "ns", (json_int_t)figures->ns, "cpu_s", cpu_seconds(&usage),
			   "peak_bytes", (json_int_t)usage.ru_maxrss * 1024);
	if (error_is_set(err)) {
		report_error(err);
	} else {
		report_print("%s, %" PRIu64 " MiB written, %" PRIu64 " MiB in the parent, %.1f s\n",
			     text_count(figures->images, "process", "processes").text, figures->pages >> 8,
			     figures->same >> 8, figures->ns / 1e9);
		if (!figures->chains)
			report_say("this kernel has no soft-dirty bits: no criu dump can build on these images");
	}
	report_event("result", fields);
}
