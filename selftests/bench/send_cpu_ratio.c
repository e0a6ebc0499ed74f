// SPDX-License-Identifier: GPL-2.0
/*
 * CPU time of the thread that sends 512 MiB of another task's 4 KiB pages over
 * TCP loopback: process_vm_readv() and send(), over SPLICE_VM_SEND.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

static struct target target;
static struct svm svm;
static unsigned long addr;
static char *data;

static double cpu_copy(void)
{
	struct bench_reader r;
	unsigned long at;
	__u64 start;

	bench_reader_start(&r);
	start = sys_thread_cpu_ns();
	for (at = addr; at < addr + BENCH_BYTES; at += BENCH_CHUNK) {
		struct iovec local = { data, BENCH_CHUNK };
		struct iovec remote = { (void *)at, BENCH_CHUNK };

		ksft_must(process_vm_readv(target.pid, &local, 1, &remote, 1,
					   0) == BENCH_CHUNK);
		ksft_must(send(r.sock, data, BENCH_CHUNK, 0) == BENCH_CHUNK);
	}
	start = sys_thread_cpu_ns() - start;
	bench_reader_finish(&r);
	return start / 1e9;
}

static double cpu_send(void)
{
	struct bench_reader r;
	__u64 start;

	bench_reader_start(&r);
	start = sys_thread_cpu_ns();
	bench_send(svm.fd, r.sock, addr, BENCH_BYTES);
	start = sys_thread_cpu_ns() - start;
	bench_reader_finish(&r);
	return start / 1e9;
}

int main(void)
{
	struct bench_way copy = {
		.name = "CPU of process_vm_readv + send",
		.run = cpu_copy,
	};
	struct bench_way by_ref = {
		.name = "CPU of SEND",
		.run = cpu_send,
	};

	data = malloc(BENCH_CHUNK);
	ksft_must(data);
	addr = bench_target(&target);
	svm_open(&svm, target.pid, false);
	bench_compare("send_cpu_ratio", &copy, &by_ref);
	svm_close(&svm);
	target_stop(&target);
	return 0;
}
