/* SPDX-License-Identifier: GPL-2.0 */
/* A Setup that the destination looks at. Included by one test, after cmocka.h. */
#ifndef MIGRATE_TESTS_SETUP_BENCH_H
#define MIGRATE_TESTS_SETUP_BENCH_H

#include <string.h>
#include <sys/utsname.h>
#include "dest/precheck.h"

/* A Setup that is refused for nothing, to be made worse by each test. */
struct bench {
	Migrate__Setup setup;
	Migrate__CriuVersion criu;
	Migrate__Object object, *objects[2];
	struct criu_version here;
	struct utsname uts;
	struct refusals refusals;
};

static inline int set_up(void **state)
{
	static struct bench bench;

	memset(&bench, 0, sizeof(bench));
	uname(&bench.uts);
	migrate__setup__init(&bench.setup);
	migrate__criu_version__init(&bench.criu);
	bench.here = (struct criu_version){ .major = 3, .minor = 17 };
	bench.criu.major = 3;
	bench.criu.minor = 17;
	bench.setup.pid = 4711;
	bench.setup.comm = "prog";
	bench.setup.threads = 1;
	bench.setup.criu = &bench.criu;
	bench.setup.kernel = bench.uts.release;
	bench.setup.arch = bench.uts.machine;
	bench.setup.mode = "auto";
	migrate__object__init(&bench.object);
	bench.object.id = 1;
	bench.object.kind = MIGRATE__OBJECT_KIND__MM;
	bench.object.has_pid = true;
	bench.object.pid = 4711;
	bench.objects[0] = bench.objects[1] = &bench.object;
	bench.setup.objects = bench.objects;
	bench.setup.n_objects = 1;
	*state = &bench;
	return 0;
}

static inline int tear_down(void **state)
{
	struct bench *bench = *state;

	precheck_free(&bench->refusals);
	return 0;
}

static inline size_t refusals(struct bench *bench)
{
	precheck_setup(&bench->setup, &bench->here, "/tmp", &bench->refusals);
	return bench->refusals.nr;
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
