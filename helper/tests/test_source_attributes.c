// SPDX-License-Identifier: GPL-2.0
/* What the source reads of a thread's attributes, and what it makes of the destination's answer. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "source/attributes.h"
#include "tests/idle_child.h"

/* Each field of the message is what the process has. */
static void filled_in(void **state)
{
	Migrate__Process go = MIGRATE__PROCESS__INIT;
	struct cgroup none = { .kind = CGROUP_NONE };
	struct source_attributes from = { 0 };
	struct error err = { 0 };
	pid_t pid = child_start();
	struct cpus cpus;

	assert_int_equal(cpus_parse(&cpus, "0"), 0);
	assert_int_equal(thread_set_cpus(pid, &cpus), 0);
	assert_int_equal(thread_set_timer_slack(pid, 12345), 0);
	assert_int_equal(source_attributes_read(&from, pid, &none, &err), 0);
	source_attributes_fill(&from, &go);
	assert_int_equal(go.n_threads, 1);
	assert_int_equal(go.threads[0]->tid, pid);
	assert_int_equal(go.threads[0]->timer_slack_ns, 12345);
	assert_true(go.threads[0]->has_cpus);
	assert_int_equal(go.threads[0]->cpus.len, cpus_bytes(&cpus));
	assert_memory_equal(go.threads[0]->cpus.data, cpus.bits, go.threads[0]->cpus.len);
	assert_non_null(go.threads[0]->scheduling);
	source_attributes_free(&from);
	child_end(pid);
}

/* Each of these that the destination could not set forbids the move, by its name. */
static void refused_answers(void **state)
{
	static const struct {
		Migrate__AttributeKind kind;
		const char *name;
	} rows[] = {
		{ MIGRATE__ATTRIBUTE_KIND__ALARM, "--accept-loss alarm " },
		{ MIGRATE__ATTRIBUTE_KIND__NO_NEW_PRIVS, "--accept-loss no-new-privs " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		Migrate__Attribute one = MIGRATE__ATTRIBUTE__INIT, *list[] = { &one };
		Migrate__Attributes answer = MIGRATE__ATTRIBUTES__INIT;
		struct losses losses = { 0 };
		struct error err = { 0 };

		one.kind = rows[i].kind;
		one.detail = "thread 5: Operation not permitted";
		answer.attributes = list;
		answer.n_attributes = 1;
		source_attributes_take_answer(&answer, &losses);
		assert_int_equal(losses_refused(&losses, &err), -1);
		assert_int_equal(err.code, CODE_REFUSED);
		assert_non_null(strstr(err.hint, rows[i].name));
		assert_non_null(strstr(err.what, one.detail));
		losses_free(&losses);
	}
}

static void answers(void **state)
{
	Migrate__Attribute one = MIGRATE__ATTRIBUTE__INIT, two = MIGRATE__ATTRIBUTE__INIT;
	Migrate__Attribute odd = MIGRATE__ATTRIBUTE__INIT, *list[] = { &one, &two, &odd };
	Migrate__Attributes answer = MIGRATE__ATTRIBUTES__INIT;
	struct losses losses = { 0 };
	struct error err = { 0 };

	one.kind = MIGRATE__ATTRIBUTE_KIND__ALARM;
	one.kept = true;
	one.detail = "ITIMER_REAL";
	two.kind = MIGRATE__ATTRIBUTE_KIND__CPUS;
	two.detail = "thread 5\033[2J";
	odd.kind = 1000;
	odd.detail = "";
	answer.attributes = list;
	answer.n_attributes = 3;
	source_attributes_take_answer(&answer, &losses);
	assert_int_equal(losses.nr, 2);
	assert_int_equal(losses.items[0].fate, LOSS_REPAIRED);
	assert_int_equal(losses.items[1].fate, LOSS_WARNED);
	assert_string_equal(losses.items[1].detail, "thread 5\\x1b[2J");
	assert_int_equal(losses_refused(&losses, &err), 0);
	one.kept = false;
	source_attributes_take_answer(&answer, &losses);
	assert_int_equal(losses_refused(&losses, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	losses_free(&losses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filled_in),
		cmocka_unit_test(answers),
		cmocka_unit_test(refused_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
