// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ksft.h"
#include "svm.h"
#include "sys.h"

#define SVM_SEND_RUNS	1024
/* The last page of user space is never mapped. */
#define SVM_LIST_END	((1ULL << 47) - PAGE_SIZE)
#define SVM_REGIONS	512

static __u32 svm_tracker = SPLICE_VM_TRACKER_AUTO;

void svm_runs_add(struct svm_runs *runs, __u64 addr, __u32 nr, __u32 flags)
{
	if (runs->nr == runs->cap) {
		runs->cap = runs->cap * 2 + 64;
		runs->v = realloc(runs->v, runs->cap * sizeof(*runs->v));
		ksft_must(runs->v);
	}
	runs->v[runs->nr++] = (struct splice_vm_run){
		.addr = addr,
		.nr_pages = nr,
		.flags = flags,
	};
}

void svm_runs_free(struct svm_runs *runs)
{
	free(runs->v);
	*runs = (struct svm_runs){};
}

unsigned long svm_runs_pages(const struct svm_runs *runs, __u32 set,
			     __u32 clear)
{
	unsigned long pages = 0;
	size_t i;

	for (i = 0; i < runs->nr; i++) {
		__u32 flags = runs->v[i].flags;

		if ((flags & set) == set && !(flags & clear))
			pages += runs->v[i].nr_pages;
	}
	return pages;
}

void svm_runs_print(const struct svm_runs *runs)
{
	size_t i;

	for (i = 0; i < runs->nr && i < 20; i++)
		ksft_print_msg("run %#llx +%u flags %#x\n", runs->v[i].addr,
			       runs->v[i].nr_pages, runs->v[i].flags);
	if (i < runs->nr)
		ksft_print_msg("and %zu more\n", runs->nr - i);
}

int svm_open_device(void)
{
	int fd = open(SPLICE_VM_DEVICE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		ksft_die(SPLICE_VM_DEVICE);
	return fd;
}

int svm_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

int svm_attach(int fd, int mem_fd, __u32 max_inflight)
{
	struct splice_vm_attach arg = {
		.size = sizeof(arg),
		.mem_fd = mem_fd,
		.max_inflight_pages = max_inflight,
	};

	return svm_ioctl(fd, SPLICE_VM_ATTACH, &arg);
}

int svm_track_with(int fd, __u32 tracker)
{
	struct splice_vm_track arg = {
		.size = sizeof(arg),
		.tracker = tracker,
		.uffd_fd = tracker == SPLICE_VM_TRACKER_EVENTS ? -1 : 0,
	};

	return svm_ioctl(fd, SPLICE_VM_TRACK, &arg);
}

int svm_track(int fd)
{
	return svm_track_with(fd, svm_tracker);
}

void svm_use_tracker(__u32 tracker)
{
	svm_tracker = tracker;
}

bool svm_has_tracker(__u32 tracker)
{
	struct splice_vm_info info;
	int fd = svm_open_device();

	svm_info(fd, &info);
	close(fd);
	return info.trackers & 1ULL << tracker &&
	       (tracker != SPLICE_VM_TRACKER_EVENTS || uffd_wp_is_supported());
}

void svm_info(int fd, struct splice_vm_info *info)
{
	*info = (struct splice_vm_info){ .size = sizeof(*info) };
	if (svm_ioctl(fd, SPLICE_VM_INFO, info))
		ksft_die("INFO");
}

void svm_open(struct svm *s, pid_t pid, bool track)
{
	int mem_fd = sys_proc_open(pid, "mem", O_RDWR);

	ksft_must(mem_fd >= 0);
	s->fd = svm_open_device();
	s->refs_fd = sys_proc_open(pid, "clear_refs", O_WRONLY);
	s->pagemap_fd = sys_proc_open(pid, "pagemap", O_RDONLY);
	s->has_wp = false;
	ksft_must(s->refs_fd >= 0 && s->pagemap_fd >= 0);
	if (svm_attach(s->fd, mem_fd, 0))
		ksft_die("ATTACH");
	close(mem_fd);
	if (track && svm_start_tracker(s, svm_tracker))
		ksft_die("TRACK");
}

int svm_start_tracker(struct svm *s, __u32 tracker)
{
	int ret;

	if (tracker != SPLICE_VM_TRACKER_EVENTS)
		return svm_track_with(s->fd, tracker);
	ret = uffd_wp_start(&s->wp, s->fd, s->pagemap_fd);
	s->has_wp = !ret;
	errno = -ret;
	return ret;
}

int svm_stop_tracker(struct svm *s)
{
	if (!s->has_wp)
		return svm_track_with(s->fd, SPLICE_VM_TRACKER_NONE);
	uffd_wp_stop(&s->wp);
	s->has_wp = false;
	return 0;
}

void svm_close(struct svm *s)
{
	if (s->has_wp)
		svm_stop_tracker(s);
	close(s->fd);
	close(s->refs_fd);
	close(s->pagemap_fd);
}

void svm_epoch(struct svm *s)
{
	ksft_must(write(s->refs_fd, "4", 1) == 1);
}

/* SCAN TRACKED of what the tracker has. Return: 0 or -errno */
static int svm_collect(struct svm *s, __u32 flags, __u64 start, __u64 end, unsigned int cap,
		       struct svm_runs *runs)
{
	struct splice_vm_run *found = malloc(cap * sizeof(*found));
	struct splice_vm_scan arg = {
		.size = sizeof(arg),
		.flags = flags,
		.start = start,
		.end = end,
		.runs = (unsigned long)found,
	};
	unsigned int i;
	int ret = 0;

	ksft_must(found);
	while (!ret && !arg.done) {
		arg.nr_runs = cap;
		ret = svm_ioctl(s->fd, SPLICE_VM_SCAN, &arg);
		for (i = 0; !ret && i < arg.nr_runs; i++)
			svm_runs_add(runs, found[i].addr, found[i].nr_pages,
				     found[i].flags);
	}
	free(found);
	return ret;
}

int svm_scan(struct svm *s, __u32 flags, __u64 start, __u64 end,
	     unsigned int cap, struct svm_runs *runs)
{
	int ret = 0;

	if (s->has_wp && flags == SPLICE_VM_SCAN_TRACKED)
		ret = uffd_wp_epoch(&s->wp, start, end, false);
	return ret ?: svm_collect(s, flags, start, end, cap, runs);
}

/* What was written in [start, end), while the epoch goes on. */
static void svm_list(struct svm *s, __u64 start, __u64 end, struct svm_runs *listed)
{
	struct pagemap_region regions[SVM_REGIONS];
	struct pagemap_scan scan = {
		.start = start,
		.end = end < SVM_LIST_END ? end : SVM_LIST_END,
		.vec = (unsigned long)regions,
		.vec_len = SVM_REGIONS,
		.category_mask = PAGEMAP_SCAN_WRITTEN | PAGEMAP_SCAN_PFNZERO,
		.category_inverted = PAGEMAP_SCAN_PFNZERO,
		.category_anyof_mask = PAGEMAP_SCAN_PRESENT | PAGEMAP_SCAN_SWAPPED,
		.return_mask = PAGEMAP_SCAN_WRITTEN,
	};
	long i, nr;

	ksft_must(!uffd_wp_follow(&s->wp));
	for (; scan.start < scan.end; scan.start = scan.walk_end) {
		nr = pagemap_scan(s->pagemap_fd, &scan);
		ksft_must(nr >= 0 && scan.walk_end > scan.start);
		for (i = 0; i < nr; i++)
			svm_runs_add(listed, regions[i].start,
				     (regions[i].end - regions[i].start) / PAGE_SIZE, 0);
	}
}

/* Return: where the part ends of which @left pages are listed; *@at: the first run that may be behind */
static __u64 svm_part_end(const struct svm_runs *listed, size_t *at, __u64 start, __u64 end,
			  __u64 left)
{
	__u64 stop = end;

	for (; *at < listed->nr; ++*at) {
		__u64 addr = listed->v[*at].addr, run_end;

		run_end = addr + listed->v[*at].nr_pages * PAGE_SIZE;
		if (run_end <= start)
			continue;
		if (addr < start)
			addr = start;
		if ((run_end - addr) / PAGE_SIZE < left) {
			left -= (run_end - addr) / PAGE_SIZE;
			continue;
		}
		stop = (addr + left * PAGE_SIZE + PMD_SIZE - 1) & ~(PMD_SIZE - 1);
		break;
	}
	return stop < end ? stop : end;
}

void svm_scan_parts(struct svm *s, __u64 start, __u64 end, unsigned long pages, svm_part_fn fn,
		    void *ctx)
{
	struct svm_runs listed = {}, runs = {};
	size_t at = 0;
	__u64 stop;

	svm_list(s, start, end, &listed);
	for (; start < end; start = stop) {
		stop = svm_part_end(&listed, &at, start, end, pages);
		ksft_must(!uffd_wp_epoch(&s->wp, start, stop, stop < end));
		runs.nr = 0;
		ksft_must(!svm_collect(s, SPLICE_VM_SCAN_TRACKED, start, stop, 4096, &runs));
		fn(ctx, &runs);
	}
	svm_runs_free(&runs);
	svm_runs_free(&listed);
}

/* Copies @runs without the first @skip pages, at most as many runs as one SEND takes. */
static unsigned int svm_send_rest(const struct splice_vm_run *runs, size_t nr,
				  __u32 skip, struct splice_vm_run *out)
{
	unsigned int i;

	for (i = 0; i < nr && i < SVM_SEND_RUNS; i++) {
		out[i] = runs[i];
		out[i].flags = 0;
	}
	out[0].addr += skip * PAGE_SIZE;
	out[0].nr_pages -= skip;
	return i;
}

static int svm_send_call(struct svm *s, struct svm_send *send,
			 const struct splice_vm_run *runs, unsigned int nr,
			 __u64 *done)
{
	struct splice_vm_run results[SVM_SEND_RUNS];
	struct splice_vm_send arg = {
		.size = sizeof(arg),
		.sock_fd = send->sock,
		.nr_runs = nr,
		.runs = (unsigned long)runs,
		.results = (unsigned long)results,
		.nr_results = SVM_SEND_RUNS,
		.cookie = send->cookie,
	};
	int ret = svm_ioctl(s->fd, SPLICE_VM_SEND, &arg);
	unsigned int i;

	send->calls++;
	*done = 0;
	if (ret)
		return ret;
	*done = arg.pages_done;
	send->bytes += arg.bytes_sent;
	for (i = 0; i < arg.nr_results; i++)
		svm_runs_add(&send->results, results[i].addr,
			     results[i].nr_pages, results[i].flags);
	return *done ? 0 : -EPROTO;
}

int svm_send_all(struct svm *s, struct svm_send *send,
		 const struct splice_vm_run *runs, size_t nr)
{
	struct splice_vm_run some[SVM_SEND_RUNS];
	__u32 skip = 0;
	__u64 done;
	int ret;

	while (nr) {
		ret = svm_send_call(s, send, some,
				    svm_send_rest(runs, nr, skip, some), &done);
		if (ret == -EAGAIN) {
			struct pollfd p = { send->sock, POLLOUT, 0 };

			send->again++;
			poll(&p, 1, 1000);
			continue;
		}
		if (ret)
			return ret;
		for (done += skip; nr && done >= runs->nr_pages; nr--)
			done -= runs++->nr_pages;
		skip = done;
	}
	return 0;
}

long svm_send_one(int fd, int sock, __u64 addr, __u32 nr, __u32 *flags)
{
	struct splice_vm_run run = { .addr = addr, .nr_pages = nr };
	struct splice_vm_run result = {};
	struct splice_vm_send arg = {
		.size = sizeof(arg),
		.sock_fd = sock,
		.nr_runs = 1,
		.runs = (unsigned long)&run,
		.results = (unsigned long)&result,
		.nr_results = 1,
	};
	int ret = svm_ioctl(fd, SPLICE_VM_SEND, &arg);

	if (flags)
		*flags = result.flags;
	return ret ?: (long)arg.pages_done;
}

ssize_t svm_splice(int fd, int pipe, __u64 addr, size_t len)
{
	loff_t pos = addr;
	ssize_t ret = splice(fd, &pos, pipe, NULL, len, 0);

	return ret < 0 ? -errno : ret;
}
