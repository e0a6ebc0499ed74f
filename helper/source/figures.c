// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/report.h"
#include "base/text.h"
#include "source/figures.h"

#define MIB(bytes)	((bytes) / 1048576.0)
#define SECONDS(ns)	((ns) / 1e9)
#define MS(ns)		((ns) / 1e6)
#define PAGE		4096
#define PAGES_PER_MIB	256
#define NS_SAID		1000000UL	/* shorter parts have no name of their own */

int figures_add_round(struct figures *figures, const struct round_figures *round,
		      struct error *err)
{
	struct round_figures *rounds = realloc(figures->rounds,
					       (figures->nr_rounds + 1) * sizeof(*rounds));

	if (!rounds)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for figures");
	rounds[figures->nr_rounds++] = *round;
	figures->rounds = rounds;
	return 0;
}

static double rate(uint64_t bytes, uint64_t ns)
{
	return ns ? MIB(bytes) / SECONDS(ns) : 0;
}

double figures_dirty_rate(const struct round_figures *round)
{
	return rate(round->dirty_pages * PAGE, round->dirty_ns);
}

static json_t *round_json(const struct round_figures *round)
{
	return json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:i}",
			 "round", (int)round->round,
			 "pages", (json_int_t)round->pages,
			 "copied_pages", (json_int_t)round->copied,
			 "zero_pages", (json_int_t)round->zero,
			 "inherited_pages", (json_int_t)round->inherited,
			 "put_off_pages", (json_int_t)round->put_off,
			 "bytes", (json_int_t)round->bytes,
			 "ns", (json_int_t)round->ns,
			 "synced_bytes", (json_int_t)round->synced_bytes,
			 "synced_ns", (json_int_t)round->synced_ns,
			 "dirty_pages", (json_int_t)round->dirty_pages,
			 "mib_per_s", rate(round->bytes, round->ns),
			 "dirty_mib_per_s", figures_dirty_rate(round),
			 "dirty_pages_per_s", (json_int_t)(figures_dirty_rate(round) * PAGES_PER_MIB),
			 "remaining_bytes", (json_int_t)round->dirty_bytes,
			 "bandwidth_bytes_per_s", (json_int_t)round->bandwidth,
			 "expected_downtime_ns", (json_int_t)round->stands_ns,
			 "expected_total_ns", (json_int_t)round->total_ns,
			 "downtime_limit_ns", (json_int_t)round->limit_ns,
			 "cpu_throttle_percentage", (int)round->throttled);
}

void figures_say_round(const struct round_figures *round)
{
	if (report_is_json()) {
		report_event("round", round_json(round));
		return;
	}
	report_say("round %u: %.1f MiB in %.2f s (%.1f MiB/s), %.1f MiB written since (%.1f MiB/s); %.0f ms expected, %.0f with its memory (limit %.0f)",
		   round->round, MIB(round->bytes), SECONDS(round->ns),
		   rate(round->bytes, round->ns), MIB(round->dirty_pages * PAGE),
		   figures_dirty_rate(round), MS(round->stands_ns), MS(round->total_ns),
		   MS(round->limit_ns));
}

static json_t *frozen_json(const struct frozen_time *frozen)
{
	json_t *parts = json_object();

	for (unsigned int part = 1; part < FROZEN_PARTS; part++) {
		char name[40];

		if (!frozen_part_name(part))
			continue;
		snprintf(name, sizeof(name), "%s_ns", frozen_part_name(part));
		json_object_set_new(parts, name, json_integer(frozen->ns[part]));
	}
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:o}",
			 "settling_ns", (json_int_t)frozen->settling_ns,
			 "criu_ns", (json_int_t)frozen_time_sum(frozen, FROZEN_CRIU),
			 "source_ns", (json_int_t)frozen_time_sum(frozen, FROZEN_SOURCE),
			 "dest_ns", (json_int_t)frozen_time_sum(frozen, FROZEN_DEST),
			 "link_ns", (json_int_t)frozen_time_sum(frozen, FROZEN_WAIT),
			 "parts", parts);
}

static json_t *streams_json(const struct figures *figures)
{
	json_t *bytes = json_array();

	for (unsigned int i = 0; i < figures->nr_streams; i++)
		json_array_append_new(bytes, json_integer(figures->stream_bytes[i]));
	return bytes;
}

static json_t *result_json(const struct figures *figures, const struct error *err)
{
	json_t *rounds = json_array(), *result;

	for (size_t i = 0; i < figures->nr_rounds; i++)
		json_array_append_new(rounds, round_json(&figures->rounds[i]));
	result = json_pack("{s:s,s:i,s:s,s:b,s:o,s:I,s:I,s:I,s:I,s:I,s:I}",
			   "side", "source", "exit", err->code,
			   "class", error_code_name(err->code),
			   "moved", figures->moved, "rounds", rounds,
			   "total_ns", (json_int_t)figures->total_ns,
			   "frozen_ns", (json_int_t)figures->frozen_ns,
			   "held_ns", (json_int_t)figures->held_ns,
			   "frozen_send_ns", (json_int_t)figures->frozen_send_ns,
			   "restore_ns", (json_int_t)figures->restore_ns,
			   "left_pages", (json_int_t)figures->left_pages);
	if (figures->frozen_ns)
		json_object_set_new(result, "frozen", frozen_json(&figures->frozen));
	if (figures->losses)
		json_object_set_new(result, "losses", losses_json(figures->losses));
	if (figures->sync && figures->sync->nr)
		json_object_set_new(result, "files", json_pack("{s:I,s:I,s:I}",
				"syncs", (json_int_t)figures->sync->nr,
				"bytes", (json_int_t)figures->sync->all_bytes,
				"frozen_ns", (json_int_t)figures->sync->frozen_ns));
	if (figures->compress)
		json_object_set_new(result, "compression", compress_json(figures->compress));
	if (figures->nr_streams)
		json_object_set_new(result, "stream_bytes", streams_json(figures));
	if (figures->tls)
		json_object_set_new(result, "tls", json_string(figures->tls));
	if (figures->backend)
		json_object_update_new(result, json_pack("{s:s,s:s,s:s,s:s,s:I}",
				"backend", figures->backend, "backend_why", figures->backend_why,
				"tracker", figures->tracker,
				"tracker_why", figures->tracker_why,
				"rounds_stood_ns", (json_int_t)figures->rounds_stood_ns));
	if (figures->lost.nr)
		json_object_set_new(result, "lost", lost_json(&figures->lost));
	if (!figures->moved)
		return result;
	json_object_update_new(result, counts_json(&figures->counts));
	json_object_update_new(result, fault_times_json(&figures->fault_times));
	json_object_set_new(result, "processes", json_integer(figures->processes));
	json_object_set_new(result, "dest_pid", json_integer(figures->dest_pid));
	json_object_update_new(result, json_pack("{s:I,s:I}",
						 "sent_pages", (json_int_t)figures->sent_pages,
						 "image_bytes", (json_int_t)figures->image_bytes));
	json_object_update_new(result, json_pack("{s:I,s:I,s:I,s:I,s:I}",
			"shared_objects", (json_int_t)figures->shared.objects,
			"shared_rounds_pages", (json_int_t)figures->shared.rounds_pages,
			"shared_frozen_pages", (json_int_t)figures->shared.frozen_pages,
			"shared_compared_pages", (json_int_t)figures->shared.compared_pages,
			"shared_early_pages", (json_int_t)figures->shared.early_pages));
	json_object_set_new(result, "verified_pages", json_integer(figures->verified_pages));
	return result;
}

static void print_rounds(const struct figures *figures)
{
	uint64_t bytes = 0;

	if (figures->nr_rounds)
		report_print("%5s %10s %10s %9s %10s %10s %10s %10s\n", "round", "pages", "MiB", "s", "MiB/s",
			     "dirty", "MiB/s", "expected");
	for (size_t i = 0; i < figures->nr_rounds; i++) {
		const struct round_figures *round = &figures->rounds[i];

		bytes += round->bytes;
		report_print("%5u %10lu %10.1f %9.2f %10.1f %10lu %10.1f %10.3f\n", round->round, round->pages,
			     MIB(round->bytes), SECONDS(round->ns),
			     rate(round->bytes, round->ns), round->dirty_pages,
			     figures_dirty_rate(round), SECONDS(round->stands_ns));
	}
	if (figures->nr_rounds)
		report_print("sent while it ran        %10.1f MiB\n", MIB(bytes));
}

static void print_pages(const char *name, uint64_t pages)
{
	report_print("%-24s %10.1f MiB (%s)\n", name, MIB(pages * PAGE),
		     text_count(pages, "page", "pages").text);
}

/* The parts of @owner that took a millisecond or more, by name. */
static void print_parts(const struct frozen_time *frozen, const char *name,
			enum frozen_owner owner)
{
	const char *between = " (";

	report_print("%-24s %10.3f s", name, SECONDS(frozen_time_sum(frozen, owner)));
	for (unsigned int part = 1; part < FROZEN_PARTS; part++) {
		if (frozen_part_owner(part) != owner || frozen->ns[part] < NS_SAID)
			continue;
		report_print("%s%s %.3f", between, frozen_part_name(part), SECONDS(frozen->ns[part]));
		between = ", ";
	}
	report_print(*between == ',' ? ")\n" : "\n");
}

static void print_frozen(const struct figures *figures)
{
	const struct frozen_time *frozen = &figures->frozen;

	report_print("%-24s %10.3f s\n", "stood still", SECONDS(figures->frozen_ns));
	print_parts(frozen, "  CRIU", FROZEN_CRIU);
	print_parts(frozen, "  migrate-helper here", FROZEN_SOURCE);
	print_parts(frozen, "  migrate-helper there", FROZEN_DEST);
	print_parts(frozen, "  link", FROZEN_WAIT);
}

static void print_shared(const struct shared_figures *shared)
{
	if (!shared->objects)
		return;
	report_print("shared memory: %s, compared by digest while the program stood\n",
		     text_count(shared->objects, "object", "objects").text);
	print_pages("  sent while it ran", shared->rounds_pages);
	print_pages("  compared", shared->compared_pages);
	print_pages("  of these, while CRIU dumped", shared->early_pages);
	print_pages("  sent while it stood", shared->frozen_pages);
}

static void print_fault_times(const struct latency_figures *times)
{
	if (times->nr)
		report_print("%-24s %10.3f ms, 99 in 100 at most %.3f ms, the longest %.3f ms\n", "a fault waited, mostly",
			     times->p50_ns / 1e6, times->p99_ns / 1e6, times->longest_ns / 1e6);
}

static void print_result(const struct figures *figures)
{
	print_rounds(figures);
	if (figures->frozen_pages)
		print_pages("sent while it stood", figures->frozen_pages);
	print_shared(&figures->shared);
	if (figures->sync && figures->sync->nr)
		report_print("%-24s %10.1f MiB (%s)\n", "files, by the manager", MIB(figures->sync->all_bytes),
			     text_count(figures->sync->nr, "sync", "syncs").text);
	if (figures->compress)
		compress_print(figures->compress);
	print_pages("from rounds", figures->counts.precopy_pages);
	print_pages("pushed afterwards", figures->counts.push_pages);
	print_pages("fetched for faults", figures->counts.fault_pages);
	print_fault_times(&figures->fault_times.all);
	print_pages("in CRIU's images", figures->counts.image_pages);
	if (figures->verified_pages)
		print_pages("verified", figures->verified_pages);
	for (unsigned int i = 0; figures->nr_streams > 1 && i < figures->nr_streams; i++)
		report_print("memory stream %-10u %10.1f MiB\n", i + 1, MIB(figures->stream_bytes[i]));
	print_frozen(figures);
	if (figures->rounds_stood_ns)
		report_print("%-24s %10.3f s\n", "stood in rounds",
			     SECONDS(figures->rounds_stood_ns));
	report_print("%-24s %10.3f s\n", "total", SECONDS(figures->total_ns));
	if (figures->losses)
		losses_print(figures->losses);
}

void figures_thawed(struct figures *figures, uint64_t frozen_at_ns)
{
	frozen_time_enter(&figures->frozen, 0);
	if (frozen_at_ns && !figures->frozen_ns)
		figures->frozen_ns = clock_now_ns() - frozen_at_ns;
}

void figures_say_result(struct figures *figures, const struct error *err, int pid,
			const char *comm, const char *mode, const char *file)
{
	json_t *result;

	if (!figures->total_ns)
		figures->total_ns = clock_now_ns() - figures->started_ns;
	result = result_json(figures, err);
	json_object_set_new(result, "pid", json_integer(pid));
	json_object_set_new(result, "comm", report_text(comm));
	json_object_set_new(result, "mode", json_string(mode));
	/* a --result that cannot be written was told as a wrong command line before */
	if (file && json_dump_file(result, file, JSON_INDENT(1)) && err->code != CODE_USAGE)
		report_say("cannot write the result to %s: %s", file, strerror(errno));
	if (figures->moved && !report_is_json())
		print_result(figures);
	report_event("result", result);
}

void figures_free(struct figures *figures)
{
	free(figures->rounds);
	lost_free(&figures->lost);
	memset(figures, 0, sizeof(*figures));
}
