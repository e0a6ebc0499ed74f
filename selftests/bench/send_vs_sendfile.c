// SPDX-License-Identifier: GPL-2.0
/*
 * Throughput of SPLICE_VM_SEND over that of sendfile(2) from tmpfs: 512 MiB over TCP
 * loopback, until the reader has copied all. As a ratio of times: sendfile over SEND.
 */
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

static struct target target;
static struct svm svm;
static unsigned long addr;
static int file;

static double throughput_sendfile(void)
{
	__u64 start = sys_now_ns();
	struct bench_reader r;
	off_t pos = 0;

	bench_reader_start(&r);
	start = sys_now_ns();
	while (pos < (off_t)BENCH_BYTES)
		ksft_must(sendfile(r.sock, file, &pos, BENCH_BYTES - pos) > 0);
	bench_reader_finish(&r);
	return (sys_now_ns() - start) / 1e9;
}

static double throughput_send(void)
{
	struct bench_reader r;
	__u64 start;

	bench_reader_start(&r);
	start = sys_now_ns();
	bench_send(svm.fd, r.sock, addr, BENCH_BYTES);
	bench_reader_finish(&r);
	return (sys_now_ns() - start) / 1e9;
}

static void throughput_file(void)
{
	static char data[BENCH_CHUNK];
	unsigned long at;

	file = memfd_create("bench", MFD_CLOEXEC);
	ksft_must(file >= 0);
	for (at = 0; at < BENCH_BYTES; at += BENCH_CHUNK) {
		pattern_fill(data, at, BENCH_CHUNK, 1);
		ksft_must(write(file, data, BENCH_CHUNK) == BENCH_CHUNK);
	}
}

int main(void)
{
	struct bench_way by_file = {
		.name = "sendfile from tmpfs",
		.run = throughput_sendfile,
	};
	struct bench_way by_ref = {
		.name = "SEND",
		.run = throughput_send,
	};

	addr = bench_target(&target);
	throughput_file();
	svm_open(&svm, target.pid, false);
	bench_compare("send_vs_sendfile", &by_file, &by_ref);
	svm_close(&svm);
	target_stop(&target);
	return 0;
}
