// SPDX-License-Identifier: GPL-2.0
/* The pre-dump of a child: what is in the directory afterwards, and when there is nothing. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include "base/clock.h"
#include "base/page.h"
#include "base/report.h"
#include "criu/inventory.h"
#include "os/pagemap.h"
#include "services/predump.h"
#include "services/predump_task.h"
#include "tests/criu_images.h"
#include "tests/chain_kit.h"
#include "tests/fake_dump.h"

static struct bench {
	struct test_dir dir;
	struct predump_options opts;
	uint8_t *memory;
	pid_t pid;
} bench;

static int set_up(void **state)
{
	memset(&bench, 0, sizeof(bench));
	dir_make(&bench.dir);
	bench.memory = mmap(NULL, 4 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(bench.memory, 'p', 2 * PAGE_BYTES);
	bench.pid = fork();
	assert_true(bench.pid >= 0);
	if (!bench.pid)
		for (;;)
			pause();
	bench.opts = (struct predump_options){
		.pid = bench.pid, .images_dir = bench.dir.path, .backend = BACKEND_VMREAD, .json = true,
	};
	return 0;
}

static int tear_down(void **state)
{
	kill(bench.pid, SIGKILL);
	waitpid(bench.pid, NULL, 0);
	munmap(bench.memory, 4 * PAGE_BYTES);
	dir_remove(&bench.dir);
	return 0;
}

static bool is_there(const char *name)
{
	return !faccessat(bench.dir.fd, name, F_OK, 0);
}

/* Return: whether the image of the child has this page of the memory that it shares with this process since fork */
static bool has(size_t page)
{
	static uint8_t buf[PAGE_BYTES];
	bool there = chain_read_page(bench.dir.fd, PAGES_OF(bench.pid), (uintptr_t)bench.memory + page * PAGE_BYTES, buf);

	if (there)
		assert_memory_equal(buf, bench.memory + page * PAGE_BYTES, PAGE_BYTES);
	return there;
}

static void read_inventory(uint64_t *uptime_us)
{
	struct error err = { 0 };
	ProtobufCMessage *msg;
	Img__InventoryEntry *inventory;

	assert_int_equal(image_read_one(bench.dir.fd, INVENTORY_NAME, IMAGE_INVENTORY,
					&img__inventory_entry__descriptor, &msg, &err), 0);
	inventory = (Img__InventoryEntry *)msg;
	assert_int_equal(inventory->img_version, 2);
	assert_true(inventory->has_dump_uptime);
	assert_int_equal(inventory->pre_dump_mode, PREDUMP_MODE_SPLICE);
	*uptime_us = inventory->dump_uptime;
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void memory_is_written(void **state)
{
	uint64_t before = clock_ns(CLOCK_BOOTTIME) / 1000, uptime;
	struct proc_status status;
	struct error err = { 0 };
	ProtobufCMessage *msg;

	assert_int_equal(predump_run(&bench.opts), CODE_OK);
	assert_true(has(0));
	assert_true(has(1));
	assert_false(has(2));
	read_inventory(&uptime);
	/* later than the child's start in ticks, or CRIU takes the child for another process */
	assert_int_equal(proc_stat_read(bench.pid, &status, &err), 0);
	assert_true(uptime / 10000 > status.start_ticks);
	assert_in_range(uptime, before, clock_ns(CLOCK_BOOTTIME) / 1000);
	assert_int_equal(image_read_one(bench.dir.fd, "stats-dump", IMAGE_STATS, &img__stats__descriptor, &msg,
					&err), 0);
	assert_true(((Img__Stats *)msg)->dump->pages_written >= 2);
	protobuf_c_message_free_unpacked(msg, NULL);
}

static void a_used_directory_is_refused(void **state)
{
	assert_int_equal(predump_run(&bench.opts), CODE_OK);
	assert_int_equal(predump_run(&bench.opts), CODE_USAGE);
	assert_true(has(0));
}

static void nobody_leaves_nothing(void **state)
{
	kill(bench.pid, SIGKILL);
	waitpid(bench.pid, NULL, 0);
	assert_int_equal(predump_run(&bench.opts), CODE_TARGET);
	assert_false(is_there(INVENTORY_NAME));
}

/* A zombie, or one whose pid may be another's: no images of it, and its bits stay. */
static void a_new_process_is_left(void **state)
{
	struct predump_task task = { .pid = bench.pid };
	struct proc_status status;
	struct error err = { 0 };

	assert_int_equal(proc_stat_read(bench.pid, &status, &err), 0);
	assert_int_equal(predump_task_open(&task, BACKEND_VMREAD, status.start_ticks, true), -1);
	assert_int_equal(task.err.code, CODE_TARGET);
	predump_task_close(&task);
}

static void a_process_that_ends_has_no_images(void **state)
{
	struct predump_task task = { .pid = bench.pid };
	struct error err = { 0 };
	struct pages_file file;
	struct image_dir dir;

	assert_int_equal(predump_task_open(&task, BACKEND_VMREAD, UINT64_MAX, false), 0);
	kill(bench.pid, SIGKILL);
	waitpid(bench.pid, NULL, 0);
	assert_int_equal(image_dir_open(&dir, bench.dir.path, NULL, &err), 0);
	assert_int_equal(pages_file_init(&file, true, true, &err), 0);
	assert_int_equal(predump_task_write(&task, &dir, -1, &file), -1);
	assert_int_equal(task.err.code, CODE_TARGET);
	assert_false(task.taken);
	predump_task_close(&task);
	pages_file_free(&file);
	image_dir_close(&dir);
	assert_false(is_there("pages-65537.img.part"));
}

/* A child that calls exec when it is let. */
static struct runner {
	struct predump_task task;
	struct backend_ops ops;
	const struct backend_ops *real;
	int go[2];
	bool gone;
} runner;

static void let_exec(void)
{
	struct proc_status status = { .comm = "" };
	struct error err = { 0 };

	close(runner.go[0]);
	close(runner.go[1]);
	while (strcmp(status.comm, "sleep")) {
		assert_int_equal(proc_status_read(runner.task.pid, &status, &err), 0);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	runner.gone = true;
}

/* When the mapping with the stack, the last one, has been listed, the child goes; and no scan comes later that could tell. */
static int populated_then_exec(struct backend *backend, uint64_t start, uint64_t end, backend_runs_fn fn, void *ctx,
			       struct error *err)
{
	int ret = runner.gone ? 0 : runner.real->populated(backend, start, end, fn, ctx, err);

	if ((uintptr_t)&ret >= start && (uintptr_t)&ret < end)
		let_exec();
	return ret;
}

/* process_vm_readv() goes by the pid, and after exec it reads another memory. */
static void a_process_that_calls_exec_has_no_images(void **state)
{
	struct predump_task *task = &runner.task;
	struct error err = { 0 };
	struct pages_file file;
	struct image_dir dir;

	assert_int_equal(pipe(runner.go), 0);
	task->pid = fork();
	if (!task->pid) {
		char byte;

		close(runner.go[1]);
		if (read(runner.go[0], &byte, 1) == 0)
			execlp("sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	assert_int_equal(predump_task_open(task, BACKEND_VMREAD, UINT64_MAX, false), 0);
	runner.real = task->backend->ops;
	runner.ops = *runner.real;
	runner.ops.populated = populated_then_exec;
	task->backend->ops = &runner.ops;
	assert_int_equal(image_dir_open(&dir, bench.dir.path, NULL, &err), 0);
	assert_int_equal(pages_file_init(&file, true, true, &err), 0);
	assert_int_equal(predump_task_write(task, &dir, -1, &file), -1);
	assert_int_equal(task->err.code, CODE_TARGET);
	assert_true(runner.gone);
	kill(task->pid, SIGKILL);
	waitpid(task->pid, NULL, 0);
	predump_task_close(task);
	pages_file_free(&file);
	image_dir_close(&dir);
}

static void a_chain_needs_bits(void **state)
{
	assert_int_equal(mkdirat(bench.dir.fd, "next", 0700), 0);
	assert_int_equal(predump_run(&bench.opts), CODE_OK);
	bench.opts.prev_images_dir = "..";
	bench.opts.images_dir = strcat(bench.dir.path, "/next");
	assert_int_equal(predump_run(&bench.opts), pagemap_tells_writes() ? CODE_OK : CODE_NOT_READY);
	*strrchr(bench.dir.path, '/') = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_is_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_used_directory_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_process_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_ends_has_no_images, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_calls_exec_has_no_images, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_chain_needs_bits, set_up, tear_down),
	};

	report_init(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
