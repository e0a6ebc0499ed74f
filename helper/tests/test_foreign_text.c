// SPDX-License-Identifier: GPL-2.0
/* Text of the other machine never reaches a terminal or a log unchanged. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include "base/report.h"
#include "dest/tell.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "wire/control.h"

static const char evil[] = "\033[2J\nok\xff";
static const char good[] = "\\x1b[2J\\x0aok\\xff";

/* Every text that a message can carry and that is said, through the connection. */
static Migrate__Control *through(const Migrate__Control *msg, struct error *err)
{
	struct control *from, *to;
	Migrate__Control *got;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	from = control_new(CONN(fd[0]), COURSE_DEST, err);
	to = control_new(CONN(fd[1]), COURSE_SOURCE, err);
	if (msg->body_case != MIGRATE__CONTROL__BODY_HELLO)
		assert_int_equal(walk_to(to, from, msg->body_case == MIGRATE__CONTROL__BODY_NEEDS_REPLY ?
					 PHASE_PRECOPY : PHASE_ASKED, err), 0);
	assert_int_equal(control_send(from, msg, err), 0);
	got = control_recv(to, 1000, err);
	control_close(from);
	control_close(to);
	return got;
}

static void abort_reason_is_clean(void **state)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Abort abort = MIGRATE__ABORT__INIT;
	struct error err = { 0 };

	abort.reason = (char *)evil;
	msg.body_case = MIGRATE__CONTROL__BODY_ABORT;
	msg.abort = &abort;
	assert_null(through(&msg, &err));
	assert_non_null(strstr(err.what, good));
	assert_null(strpbrk(err.what, "\033\n\xff"));
}

static void refusals_are_clean(void **state)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *got;
	Migrate__SetupReply reply = MIGRATE__SETUP_REPLY__INIT;
	char *refusals[] = { (char *)evil, (char *)evil };
	struct error err = { 0 };

	reply.refusals = refusals;
	reply.n_refusals = 2;
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP_REPLY;
	msg.setup_reply = &reply;
	got = through(&msg, &err);
	assert_non_null(got);
	assert_string_equal(got->setup_reply->refusals[0], good);
	assert_string_equal(got->setup_reply->refusals[1], good);
	migrate__control__free_unpacked(got, NULL);
}

static void later_refusals_are_clean(void **state)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *got;
	Migrate__NeedsReply reply = MIGRATE__NEEDS_REPLY__INIT;
	char *refusal = (char *)evil;
	struct error err = { 0 };

	reply.refusals = &refusal;
	reply.n_refusals = 1;
	msg.body_case = MIGRATE__CONTROL__BODY_NEEDS_REPLY;
	msg.needs_reply = &reply;
	got = through(&msg, &err);
	assert_non_null(got);
	assert_string_equal(got->needs_reply->refusals[0], good);
	migrate__control__free_unpacked(got, NULL);
}

static void hello_is_clean(void **state)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *got;
	Migrate__Hello hello = MIGRATE__HELLO__INIT;
	struct error err = { 0 };

	hello.hostname = (char *)evil;
	hello.software = (char *)evil;
	msg.body_case = MIGRATE__CONTROL__BODY_HELLO;
	msg.hello = &hello;
	got = through(&msg, &err);
	assert_non_null(got);
	assert_string_equal(got->hello->hostname, good);
	assert_string_equal(got->hello->software, good);
	migrate__control__free_unpacked(got, NULL);
}

/* What @say writes to standard output and standard error. */
static void output_of(void (*say)(void), char *text, size_t size)
{
	FILE *file = tmpfile();
	int saved[2] = { dup(1), dup(2) };
	size_t n;

	fflush(NULL);
	dup2(fileno(file), 1);
	dup2(fileno(file), 2);
	say();
	fflush(NULL);
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	rewind(file);
	n = fread(text, 1, size - 1, file);
	text[n] = 0;
	fclose(file);
	close(saved[0]);
	close(saved[1]);
}

static void say_all(void)
{
	struct error err = { .code = CODE_PEER };

	strcpy(err.what, evil);
	strcpy(err.hint, evil);
	report_say("%s", evil);
	report_error(&err);
	tell("stranger", NULL, "%s", evil);
	tell_result(&err, NULL);
}

static void output_is_clean(void **state)
{
	char text[4096];

	report_init(false);
	output_of(say_all, text, sizeof(text));
	assert_null(strpbrk(text, "\033\xff"));
	assert_null(strstr(text, "\nok"));
	assert_non_null(strstr(text, good));
}

static void json_has_its_fields(void **state)
{
	char text[4096], *line, *save;
	size_t lines = 0, texts = 0;

	report_init(true);
	output_of(say_all, text, sizeof(text));
	report_init(false);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *json = json_loads(line, 0, NULL);
		const char *said;

		assert_non_null(json);
		said = json_string_value(json_object_get(json, "text") ?:
					 json_object_get(json, "what"));
		if (said)
			assert_string_equal(said, good);
		texts += said != NULL;
		lines++;
		json_decref(json);
	}
	assert_int_equal(texts, 4);
	assert_int_equal(lines, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(abort_reason_is_clean),
		cmocka_unit_test(refusals_are_clean),
		cmocka_unit_test(later_refusals_are_clean),
		cmocka_unit_test(hello_is_clean),
		cmocka_unit_test(output_is_clean),
		cmocka_unit_test(json_has_its_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
