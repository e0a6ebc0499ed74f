// SPDX-License-Identifier: GPL-2.0
/* SPLICE_VM_UFFD: the rights that it needs, and a userfaultfd of the target that works. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ksft.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

static struct target target;
static struct svm svm;

static long uffd_get(int fd, int *uffd)
{
	struct splice_vm_uffd arg = { .size = sizeof(arg) };
	int ret = svm_ioctl(fd, SPLICE_VM_UFFD, &arg);

	*uffd = arg.fd;
	return ret;
}

/* The page at @args[0], which is missing: waits until somebody gives it. */
static long uffd_read_fn(const unsigned long *args)
{
	return READ_ONCE(*(long *)args[0]);
}

/**
 * struct uffd_fault - a fault that is going to come
 * @uffd: out of here
 * @addr: at this page
 */
struct uffd_fault {
	int uffd;
	unsigned long addr;
};

/* A fault of the target comes out of the descriptor, and is answered through it. */
static void *uffd_serve(void *arg)
{
	const struct uffd_fault *fault = arg;
	long data[PAGE_SIZE / sizeof(long)] = { 4711 };
	struct uffdio_copy copy = {
		.dst = fault->addr,
		.src = (unsigned long)data,
		.len = PAGE_SIZE,
	};
	struct pollfd p = { fault->uffd, POLLIN, 0 };
	struct uffd_msg msg = {};

	ksft_test_result(poll(&p, 1, 10000) == 1 &&
			 read(fault->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
			 msg.event == UFFD_EVENT_PAGEFAULT &&
			 msg.arg.pagefault.address == fault->addr,
			 "UFFD: a fault of the target comes out\n");
	ksft_must(!ioctl(fault->uffd, UFFDIO_COPY, &copy));
	return NULL;
}

static void uffd_test_given(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_fault fault;
	unsigned long addr;
	pthread_t thread;
	int uffd;

	target_start(&target);
	addr = target_map(&target, 4 * PAGE_SIZE, MADV_NOHUGEPAGE);
	svm_open(&svm, target.pid, false);
	ksft_test_value(uffd_get(svm.fd, &uffd), 0, "UFFD\n");
	ksft_test_value(fcntl(uffd, F_GETFD), FD_CLOEXEC,
			"UFFD: closed on exec\n");
	ksft_test_result(fcntl(uffd, F_GETFL) & O_NONBLOCK,
			 "UFFD: non-blocking\n");
	ksft_must(!ioctl(uffd, UFFDIO_API, &api));
	reg.range.start = addr;
	reg.range.len = 4 * PAGE_SIZE;
	ksft_test_value(ioctl(uffd, UFFDIO_REGISTER, &reg), 0,
			"UFFD: registers the target's memory\n");
	fault = (struct uffd_fault){ uffd, addr + PAGE_SIZE };
	ksft_must(!pthread_create(&thread, NULL, uffd_serve, &fault));
	ksft_test_value(target_do(&target, uffd_read_fn, fault.addr), 4711,
			"UFFD: and is answered\n");
	pthread_join(thread, NULL);
	svm_close(&svm);
	close(uffd);
	target_stop(&target);
}

/* An answer that cannot be written leaves no descriptor behind. */
static void uffd_test_lost(void)
{
	struct splice_vm_uffd *arg = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int next;

	ksft_must(arg != MAP_FAILED);
	arg->size = sizeof(*arg);
	ksft_must(!mprotect(arg, PAGE_SIZE, PROT_READ));
	next = dup(0);
	close(next);
	ksft_test_value(svm_ioctl(svm.fd, SPLICE_VM_UFFD, arg), -EFAULT,
			"UFFD: to memory that is read-only\n");
	ksft_test_value(dup(0), next, "UFFD: and no descriptor is left\n");
	close(next);
	munmap(arg, PAGE_SIZE);
}

static void uffd_test_refused(void)
{
	int mem_fd, fd, uffd;

	target_start(&target);
	fd = svm_open_device();
	ksft_test_value(uffd_get(fd, &uffd), -ENOTCONN, "UFFD before ATTACH\n");
	mem_fd = sys_proc_open(target.pid, "mem", O_RDONLY);
	ksft_must(!svm_attach(fd, mem_fd, 0));
	close(mem_fd);
	ksft_test_value(uffd_get(fd, &uffd), -EACCES,
			"UFFD wants a descriptor for writing\n");
	close(fd);
	svm_open(&svm, target.pid, false);
	uffd_test_lost();
	target_stop(&target);
	ksft_test_value(uffd_get(svm.fd, &uffd), -ESRCH,
			"UFFD: the target is gone\n");
	svm_close(&svm);
}

int main(void)
{
	ksft_print_header();
	uffd_test_given();
	uffd_test_refused();
	ksft_finished();
}
