// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "source/outlook.h"

#define TABLE_BYTES	16	/* that CRIU writes for each page of private address space */
#define PAGEMAP_BYTES	8	/* and before CRIU 4.0 for each page of the largest mapping */
#define COMPARE_PAGE	2.5	/* times a new page of shared memory: to read a page at both ends, and to digest it */
#define MIB		(1UL << 20)
#define MS		1000000UL

static int count_descriptors(pid_t pid, uint64_t *nr, struct error *err)
{
	struct dirent *entry;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return error_errno(err, CODE_TARGET, NULL, "cannot open %s", path);
	while ((entry = readdir(dir)))
		*nr += entry->d_name[0] != '.';
	closedir(dir);
	return 0;
}

/*
 * @drains: as in outlook_make(); @largest: so far. CRIU has the tables of all processes at the same time, since
 * it dumps lazily; its buffer for the largest mapping lasts as long as the process with that mapping.
 */
static void count_memory(struct outlook *outlook, const struct vma_list *vmas, bool drains,
			 uint64_t *largest)
{
	outlook->shape.mappings += vmas->nr;
	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];
		uint64_t pages = (vma->end - vma->start) >> PAGE_SHIFT;
		uint64_t own = vma->own_bytes >> PAGE_SHIFT;

		if (vma->shared || vma->special)
			continue;
		outlook->shape.private_pages += pages;
		*largest = pages > *largest ? pages : *largest;
		outlook->own_pages += own;
		if (drains)
			outlook->shape.drained_pages += own;
		if (!vma->anon)
			outlook->shape.image_pages += own;
	}
}

static int count_all(struct outlook *outlook, const struct tree *tree,
		     const struct criu_version *criu, bool drains, struct error *err)
{
	struct source_process *process;
	uint64_t largest = 0;

	tree_for_each(tree, process) {
		uint64_t descriptors = 0;

		if (count_descriptors(process->pid, &descriptors, err)) {
			if (tree_forgive(tree, process, err))
				continue;
			return -1;
		}
		outlook->shape.processes++;
		outlook->shape.descriptors += descriptors;
		outlook->shape.threads += process->status.threads;
		count_memory(outlook, &process->mm.vmas, drains, &largest);
	}
	outlook->criu_bytes = outlook->shape.private_pages * TABLE_BYTES;
	if (criu->major < 4)
		outlook->criu_bytes += largest * PAGEMAP_BYTES;
	return 0;
}

int outlook_make(struct outlook *outlook, const struct tree *tree, const struct source_shms *shms,
		 const struct criu_version *criu, bool drains, struct error *err)
{
	struct speed speed;

	outlook->shape.shared_pages = shms_pages(shms);
	if (count_all(outlook, tree, criu, drains, err))
		return -1;
	speed_measure(&speed);
	outlook->model_ns = cost_model_ns(COST_DUMP, &outlook->shape, &speed);
	outlook->here_ns = cost_expect_ns(COST_DUMP, tree_root(tree)->status.comm, outlook->model_ns);
	if (outlook->compares)
		outlook->compare_ns = COMPARE_PAGE * speed.page * outlook->own_pages;
	report_event("speed", json_pack("{s:I,s:I,s:I,s:I}",
					"file_ns", (json_int_t)speed.file,
					"wake_ns", (json_int_t)speed.wake,
					"mapping_ns", (json_int_t)speed.mapping,
					"page_ns", (json_int_t)speed.page));
	return 0;
}

static void say(const struct outlook *outlook)
{
	const struct shape *shape = &outlook->shape;

	report_event("expected", json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
			"fixed_ns", (json_int_t)outlook_ns(outlook),
			"here_ns", (json_int_t)outlook->here_ns,
			"there_ns", (json_int_t)outlook->there_ns,
			"compare_ns", (json_int_t)outlook->compare_ns,
			"processes", (json_int_t)shape->processes,
			"mappings", (json_int_t)shape->mappings,
			"threads", (json_int_t)shape->threads,
			"descriptors", (json_int_t)shape->descriptors,
			"private_pages", (json_int_t)shape->private_pages,
			"drained_pages", (json_int_t)shape->drained_pages,
			"image_pages", (json_int_t)shape->image_pages,
			"shared_pages", (json_int_t)shape->shared_pages));
	report_say("dump and restore take about %lu ms: %s, %s, %s, %s, %lu MiB of address space",
		   outlook_ns(outlook) / MS, text_count(shape->processes, "process", "processes").text,
		   text_count(shape->mappings, "mapping", "mappings").text,
		   text_count(shape->threads, "thread", "threads").text,
		   text_count(shape->descriptors, "descriptor", "descriptors").text,
		   shape->private_pages * PAGE_BYTES / MIB);
}

int outlook_check(const struct outlook *outlook, const struct migrate_options *opts,
		  struct error *err)
{
	uint64_t ms = outlook_ns(outlook) / MS, free_bytes = proc_mem_available();

	say(outlook);
	if (free_bytes && outlook->criu_bytes > free_bytes)
		return error_set(err, CODE_REFUSED, "let the program reserve less, or free memory here",
				 "CRIU takes %lu MiB of memory to dump a program with %lu GiB of private address space, and %lu MiB are free here",
				 outlook->criu_bytes / MIB,
				 outlook->shape.private_pages * PAGE_BYTES / MIB / 1024,
				 free_bytes / MIB);
	if (ms > opts->max_frozen_s * 1000UL)
		return error_set(err, CODE_REFUSED, "--max-frozen lets it stand for longer",
				 "the program would stand for about %lu s, and --max-frozen %u ends that",
				 ms / 1000, opts->max_frozen_s);
	if (opts->limits_downtime && !opts->force_downtime && ms > opts->max_downtime_ms)
		return error_set(err, CODE_REFUSED, "--force-downtime moves it all the same",
				 "the program would stand for about %lu ms whatever of its memory is dirty, more than --max-downtime %u",
				 ms, opts->max_downtime_ms);
	return 0;
}

void outlook_keep(const struct outlook *outlook, const char *comm, const struct frozen_time *frozen)
{
	uint64_t ns = frozen_time_sum(frozen, FROZEN_SOURCE) + frozen->ns[MIGRATE__FROZEN_PART__DUMP] -
		      frozen->ns[MIGRATE__FROZEN_PART__SEND_PAGES] -
		      frozen->ns[MIGRATE__FROZEN_PART__SYNC_FILES] - frozen->settling_ns;

	/* a test's delays say nothing of the next migration */
	if (!report_delays())
		cost_keep(COST_DUMP, comm, outlook->model_ns, ns);
}
