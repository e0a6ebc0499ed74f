/* SPDX-License-Identifier: GPL-2.0 */
/* Images of a program that a limited sender sends, for tests of dest/sender_check.h. */
#ifndef MIGRATE_TESTS_SENDER_BENCH_H
#define MIGRATE_TESTS_SENDER_BENCH_H

#include <fcntl.h>
#include "criu/namespaces.h"
#include "dest/sender_check.h"
#include "tests/criu_images.h"

static struct error err;
static struct sender_rule rule;

static inline bool parses(const char *words)
{
	memset(&err, 0, sizeof(err));
	return !sender_rule_parse(&rule, "one", words, &err);
}

/** struct bench - images of one process, with two threads, of uid and gid 1000 */
struct bench {
	struct test_dir dir;
	int fd;
	Img__CredsEntry creds;
	uint32_t bounds[2];
	Img__TaskCore task;
	Img__ThreadCore thread;
	pid_t tids[2];
	struct process process, *processes[1];
	struct program program;
	struct namespaces namespaces;
};

static inline void write_core(struct bench *bench, pid_t tid, Img__CredsEntry *creds)
{
	Img__CoreEntry core = IMG__CORE_ENTRY__INIT;
	char name[IMAGE_NAME_MAX];

	bench->thread.creds = creds;
	core.thread_core = &bench->thread;
	core.tc = &bench->task;
	snprintf(name, sizeof(name), "core-%d.img", tid);
	one_record(bench->fd, name, IMAGE_CORE, &core.base);
}

static inline int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;

	dir_make(&bench->dir);
	bench->fd = open(bench->dir.path, O_DIRECTORY | O_RDONLY);
	img__creds_entry__init(&bench->creds);
	img__task_core__init(&bench->task);
	img__thread_core__init(&bench->thread);
	bench->task.task_state = 1;
	memset(bench->bounds, 0xff, sizeof(bench->bounds));
	bench->creds.cap_bnd = bench->bounds;
	bench->creds.n_cap_bnd = 2;
	bench->creds.uid = bench->creds.euid = bench->creds.suid = bench->creds.fsuid = 1000;
	bench->creds.gid = bench->creds.egid = bench->creds.sgid = bench->creds.fsgid = 1000;
	bench->tids[0] = 77;
	bench->tids[1] = 78;
	bench->process.task.tids = bench->tids;
	bench->process.task.nr_threads = 2;
	bench->processes[0] = &bench->process;
	bench->program.processes = bench->processes;
	bench->program.nr = 1;
	for (int i = 0; i < 2; i++)
		write_core(bench, bench->tids[i], &bench->creds);
	file.has_type = true;
	file.type = 1;
	file.reg = &reg;
	reg.id = 1;
	reg.name = "/";
	one_record(bench->fd, "files.img", IMAGE_FILES, &file.base);
	assert_true(parses("uids=1000-1999"));
	*state = bench;
	return 0;
}

static inline int tear_down(void **state)
{
	struct bench *bench = *state;

	close(bench->fd);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static inline int check(struct bench *bench)
{
	memset(&err, 0, sizeof(err));
	return sender_check_images(&rule, &bench->program, &bench->namespaces, bench->fd, &err);
}

static inline void refused(struct bench *bench, const char *what)
{
	write_core(bench, 78, &bench->creds);
	assert_int_equal(check(bench), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, what));
	assert_non_null(strstr(err.what, "\"one\""));
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
