// SPDX-License-Identifier: GPL-2.0
/* The memory that a message may take when it is unpacked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "wire/message.h"

#define VMAS	65000
#define EMPTY	1000000

static Migrate__Vma vmas[VMAS], *vma_list[VMAS];
static char *empty[EMPTY];

static Migrate__Control *pass(Migrate__Setup *setup, struct error *err)
{
	Migrate__CriuVersion criu = MIGRATE__CRIU_VERSION__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *got;
	uint8_t *packed;
	size_t bytes;

	setup->comm = setup->kernel = setup->arch = setup->mode = "";
	setup->criu = &criu;
	msg.body_case = MIGRATE__CONTROL__BODY_SETUP;
	msg.setup = setup;
	bytes = migrate__control__get_packed_size(&msg);
	packed = malloc(bytes);
	assert_non_null(packed);
	migrate__control__pack(&msg, packed);
	got = message_unpack(packed, bytes, err);
	free(packed);
	return got;
}

/* The shortest that there can be. */
static void many_mappings(void **state)
{
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct error err = { 0 };
	Migrate__Control *got;

	(void)state;
	for (size_t i = 0; i < VMAS; i++) {
		migrate__vma__init(&vmas[i]);
		vmas[i].start = 4096 * i;
		vmas[i].end = 4096 * (i + 1);
		vma_list[i] = &vmas[i];
	}
	setup.vmas = vma_list;
	setup.n_vmas = VMAS;
	got = pass(&setup, &err);
	assert_non_null(got);
	assert_int_equal(got->setup->n_vmas, VMAS);
	migrate__control__free_unpacked(got, NULL);
}

static void nothing_very_often(void **state)
{
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct error err = { 0 };

	(void)state;
	for (size_t i = 0; i < EMPTY; i++)
		empty[i] = "";
	setup.cpu_flags = empty;
	setup.n_cpu_flags = EMPTY;
	assert_null(pass(&setup, &err));
	assert_int_equal(err.code, CODE_PEER);
}

/* Three bytes each: number 100, a varint, 0. */
static void fields_that_nobody_knows(void **state)
{
	static uint8_t fields[3 * EMPTY];
	struct error err = { 0 };

	(void)state;
	for (size_t i = 0; i < EMPTY; i++)
		memcpy(fields + 3 * i, "\xa0\x06", 3);
	assert_null(message_unpack(fields, sizeof(fields), &err));
	assert_int_equal(err.code, CODE_PEER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_mappings), cmocka_unit_test(nothing_very_often),
		cmocka_unit_test(fields_that_nobody_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
