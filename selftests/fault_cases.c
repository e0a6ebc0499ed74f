// SPDX-License-Identifier: GPL-2.0
/* The calls in which fault_inject injects faults, and the checks that no write is lost. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault_cases.h"
#include "fault_pages.h"
#include "fault_scan.h"
#include "ksft.h"
#include "net.h"
#include "receiver.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define SEED		7
#define COOKIE		5
#define SENT_PAGES	64
#define SENT_BYTES	(SENT_PAGES * PAGE_SIZE)

static struct target target, fresh;
static int fresh_fd;
static char word[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned long mapped;	/* SENT_PAGES of a pattern */
static struct svm svm;
static int device, mem_fd;
static int pair[2];
static struct receiver receiver;
static struct mirror mirror;
static unsigned char buffer[SENT_BYTES];

static void case_nothing(void)
{
}

/* open() */

static long case_open(void)
{
	device = open(SPLICE_VM_DEVICE, O_RDONLY | O_CLOEXEC);
	return device < 0 ? -errno : 0;
}

static bool case_open_after(long ret)
{
	if (ret)
		device = svm_open_device();
	close(device);
	return true;
}

/* INFO */

static long case_info(void)
{
	struct splice_vm_info info = { .size = sizeof(info) };

	return svm_ioctl(svm.fd, SPLICE_VM_INFO, &info);
}

static bool case_is_idle(int fd)
{
	struct splice_vm_info info;

	svm_info(fd, &info);
	return !info.pages_inflight;
}

static bool case_info_after(long ret)
{
	(void)ret;
	return case_is_idle(svm.fd);
}

/* ATTACH and TRACK: when only the answer fails, it has happened. */

/* A task that nobody watches yet: what the kernel needs for that is made once. */
static void case_attach_before(void)
{
	target_start(&fresh);
	fresh_fd = sys_proc_open(fresh.pid, "mem", O_RDWR);
	ksft_must(fresh_fd >= 0);
	device = svm_open_device();
}

static long case_attach(void)
{
	return svm_attach(device, fresh_fd, 0);
}

static bool case_attach_after(long ret)
{
	struct splice_vm_info info;
	bool fine;
	int track;

	svm_info(device, &info);
	fine = info.attached == (ret == 0 || ret == -EFAULT) || ret == -EFAULT;
	fine = fine && svm_attach(device, fresh_fd, 0) ==
		       (info.attached ? -EBUSY : 0);
	/* A copy of us: it has what we have. */
	fine = fine && pread(device, buffer, PAGE_SIZE, (unsigned long)word) ==
		       PAGE_SIZE && !memcmp(buffer, word, PAGE_SIZE);
	/* Procfs calls a lack of memory ENOENT, as if there were no pagemap. */
	track = svm_track(device);
	fine = fine && (!track || track == -EACCES);
	close(device);
	close(fresh_fd);
	target_stop(&fresh);
	return fine;
}

/* UFFD: no descriptor is left behind when the answer fails. */
static long case_uffd(void)
{
	struct splice_vm_uffd arg = { .size = sizeof(arg) };
	int next = dup(0), ret;

	close(next);
	ret = svm_ioctl(svm.fd, SPLICE_VM_UFFD, &arg);
	if (!ret)
		close(arg.fd);
	fresh_fd = dup(0) - next;
	close(next + fresh_fd);
	return ret;
}

static bool case_uffd_after(long ret)
{
	(void)ret;
	return !fresh_fd && !case_uffd();
}

static void case_track_before(void)
{
	device = svm_open_device();
	ksft_must(!svm_attach(device, mem_fd, 0));
}

static long case_track(void)
{
	return svm_track(device);
}

static bool case_track_after(long ret)
{
	struct svm s = { .fd = device };
	struct splice_vm_info info;
	struct svm_runs runs = {};
	bool fine;

	svm_info(device, &info);
	fine = ret == -EFAULT || !info.tracker == !!ret;
	/* The events tracker takes another userfaultfd while it runs. */
	fine = fine && svm_track(device) ==
		       (info.tracker == SPLICE_VM_TRACKER_SOFT_DIRTY ? -EBUSY : 0);
	fine = fine && !svm_scan(&s, SPLICE_VM_SCAN_TRACKED, mapped,
				 mapped + SENT_BYTES, 100, &runs) &&
	       svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0) == SENT_PAGES;
	svm_runs_free(&runs);
	close(device);
	return fine;
}

/* pread(), of pages that are in memory and of pages that are not */

static long case_pread(void)
{
	ssize_t got = pread(svm.fd, buffer, SENT_BYTES, mapped);

	return got < 0 ? -errno : got;
}

static bool case_pread_after(long ret)
{
	if (ret > 0 && !pattern_is(buffer, mapped, ret & ~7UL, SEED))
		return false;
	return case_pread() == SENT_BYTES &&
	       pattern_is(buffer, mapped, SENT_BYTES, SEED) &&
	       case_is_idle(svm.fd);
}

static void case_page_out(void)
{
	target_page_out(&target, mapped, SENT_BYTES);
}

/* A page that could not be brought in is not gone: EFAULT would make a reader forget it. */
static bool case_pread_swapped_after(long ret)
{
	return ret != -EFAULT && case_pread_after(ret);
}

static long case_pread_one(void)
{
	ssize_t got = pread(svm.fd, buffer, PAGE_SIZE, mapped);

	return got < 0 ? -errno : got;
}

/* splice() and sendfile() */

static void case_pipe(void)
{
	ksft_must(!pipe2(pair, O_CLOEXEC));
}

static long case_splice(void)
{
	return svm_splice(svm.fd, pair[1], mapped, 8 * PAGE_SIZE);
}

static bool case_splice_after(long ret)
{
	bool fine;

	close(pair[1]);
	/*
	 * What is in the pipe is what was said to be; but splice(2) says EFAULT too when it
	 * cannot tell the new position.
	 */
	fine = ret == -EFAULT ||
	       (net_read(pair[0], buffer, SENT_BYTES) == (ret < 0 ? 0 : ret) &&
		(ret <= 0 || pattern_is(buffer, mapped, ret, SEED)));
	close(pair[0]);
	case_pipe();
	fine = fine && case_splice() == 8 * PAGE_SIZE && case_is_idle(svm.fd);
	close(pair[0]);
	close(pair[1]);
	return fine;
}

static void case_unix(void)
{
	net_unix_pair(pair);
}

static long case_sendfile(void)
{
	off_t pos = mapped;
	ssize_t ret = sendfile(pair[0], svm.fd, &pos, 8 * PAGE_SIZE);

	return ret < 0 ? -errno : ret;
}

static bool case_sendfile_after(long ret)
{
	bool fine;

	close(pair[0]);
	fine = ret == -EFAULT ||
	       (net_read(pair[1], buffer, SENT_BYTES) == (ret < 0 ? 0 : ret) &&
		(ret <= 0 || pattern_is(buffer, mapped, ret, SEED)));
	close(pair[1]);
	case_unix();
	fine = fine && case_sendfile() == 8 * PAGE_SIZE && case_is_idle(svm.fd);
	close(pair[0]);
	close(pair[1]);
	return fine;
}

/* SEND */

static void case_receiver(void)
{
	mirror_init(&mirror);
	receiver = (struct receiver){
		.fd = pair[1],
		.mirror = &mirror,
		.cookie = COOKIE,
	};
	receiver_start(&receiver);
}

static void case_send_unix_before(void)
{
	net_unix_pair(pair);
	case_receiver();
}

static void case_send_tcp_before(void)
{
	net_tcp_pair(pair);
	case_receiver();
}

static long case_send(void)
{
	struct splice_vm_run run = { mapped, SENT_PAGES, 0 }, result = {};
	struct splice_vm_send arg = {
		.size = sizeof(arg),
		.sock_fd = pair[0],
		.nr_runs = 1,
		.runs = (unsigned long)&run,
		.results = (unsigned long)&result,
		.nr_results = 1,
		.cookie = COOKIE,
	};

	return svm_ioctl(svm.fd, SPLICE_VM_SEND, &arg) ?:
	       (long)arg.pages_done;
}

/* Return: pages that came out whole, or -1 for a stream that is not one of batches */
static long case_receive(void)
{
	long pages;

	shutdown(pair[0], SHUT_WR);
	receiver_join(&receiver);
	pages = receiver.broken ? -1 : (long)receiver.pages;
	if (pages > 0 && !mirror_is_pattern(&mirror, mapped, pages, SEED))
		pages = -1;
	close(pair[0]);
	close(pair[1]);
	mirror_free(&mirror);
	return pages;
}

static bool case_send_again(void (*before)(void))
{
	before();
	return case_send() == SENT_PAGES && case_receive() == SENT_PAGES &&
	       case_is_idle(svm.fd);
}

static bool case_send_received(long ret)
{
	long pages = case_receive();

	/* After an error the pages may have been sent all the same. */
	return ret < 0 ? pages >= 0 : pages == ret;
}

static bool case_send_unix_after(long ret)
{
	return case_send_received(ret) &&
	       case_send_again(case_send_unix_before);
}

static bool case_send_tcp_after(long ret)
{
	return case_send_received(ret) && case_send_again(case_send_tcp_before);
}

const struct fault_case fault_scan = {
	.name = "SCAN TRACKED",
	.before = fault_scan_before,
	.call = fault_scan_tracked,
	.after = fault_scan_after,
};

const struct fault_case fault_cases[] = {
	{ .name = "open", .before = case_nothing,
	  .call = case_open, .after = case_open_after },
	{ .name = "ATTACH", .before = case_attach_before,
	  .call = case_attach, .after = case_attach_after },
	{ .name = "TRACK", .before = case_track_before,
	  .call = case_track, .after = case_track_after },
	{ .name = "splice", .before = case_pipe,
	  .call = case_splice, .after = case_splice_after },
	{ .name = "sendfile", .before = case_unix,
	  .call = case_sendfile, .after = case_sendfile_after,
	  /* The socket says so. */
	  .error = -ENOBUFS },
	{ .name = "SEND to AF_UNIX", .before = case_send_unix_before,
	  .call = case_send, .after = case_send_unix_after },
	{ .name = "SEND to TCP", .before = case_send_tcp_before,
	  .call = case_send, .after = case_send_tcp_after },
	{ .name = "SCAN TRACKED, page tables grew",
	  .before = fault_scan_grown_before,
	  .call = fault_scan_tracked, .after = fault_scan_grown_after },
	{ .name = "SCAN POPULATED", .before = fault_scan_before,
	  .call = fault_scan_populated, .after = fault_scan_populated_after },
	{}
};

/* Calls that allocate nothing, or not first of all. */
const struct fault_case fault_cases_nth[] = {
	{ .name = "INFO", .before = case_nothing,
	  .call = case_info, .after = case_info_after },
	{ .name = "read", .before = case_nothing,
	  .call = case_pread, .after = case_pread_after },
	{ .name = "clear_refs", .before = fault_epoch_before,
	  .call = fault_epoch, .after = fault_epoch_after },
	{ .name = "read, swapped", .before = case_page_out,
	  .call = case_pread_one, .after = case_pread_after },
	{ .name = "UFFD", .before = case_nothing,
	  .call = case_uffd, .after = case_uffd_after },
	{}
};

/* SCAN may find that too much fails to follow a mapping. */
const struct fault_case fault_cases_protect[] = {
	{ .name = "write-protect: SCAN TRACKED", .before = fault_scan_before,
	  .call = fault_scan_tracked, .after = fault_scan_after,
	  .error = -EAGAIN },
	{ .name = "write-protect: SCAN TRACKED, page tables grew",
	  .before = fault_scan_grown_before, .call = fault_scan_tracked,
	  .after = fault_scan_grown_after, .error = -EAGAIN },
	{}
};

/* While nobody protects the target. */
const struct fault_case fault_cases_unprotected[] = {
	{ .name = "write-protect: ATTACH", .before = case_attach_before,
	  .call = case_attach, .after = case_attach_after },
	{ .name = "write-protect: TRACK", .before = case_track_before,
	  .call = case_track, .after = case_track_after },
	{}
};

const struct fault_case fault_swapped = {
	.name = "read, swapped",
	.before = case_page_out,
	.call = case_pread_one,
	.after = case_pread_swapped_after,
};

void fault_cases_init(void)
{
	sys_swap_on(256);
	/* Touched: to fault them in is no part of a call. */
	memset(buffer, 0, sizeof(buffer));
	memset(word, SEED, sizeof(word));
	target_start(&target);
	mapped = target_map(&target, PMD_SIZE, MADV_NOHUGEPAGE);
	target_fill(&target, mapped, SENT_BYTES, SEED);
	fault_pages_init(&target, SEED);
	mem_fd = sys_proc_open(target.pid, "mem", O_RDWR);
	ksft_must(mem_fd >= 0);
	fault_scan_init(&svm, &target);
	svm_open(&svm, target.pid, true);
}

void fault_cases_unprotect(void)
{
	svm_close(&svm);
	svm_use_tracker(SPLICE_VM_TRACKER_EVENTS);
}

void fault_cases_protect_again(void)
{
	fault_pages_shrink(&target);
	svm_open(&svm, target.pid, true);
	ksft_must(!fault_scan_tracked());
}

void fault_cases_end(void)
{
	svm_close(&svm);
	target_stop(&target);
}
