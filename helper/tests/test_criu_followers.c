// SPDX-License-Identifier: GPL-2.0
/* Mounts in CRIU's image that follow a group outside of the namespace. */
#include "criu/repairs.h"
#include "tests/criu_images.h"

#define NAME	"mountpoints-12.img"

/* Of group 1 and 2 inside; 5 and 9 are outside. */
static const uint32_t shared[] = { 1, 2, 0, 0, 0, 3, 0 }, masters[] = { 0, 1, 5, 5, 9, 5, 2 };

#define MOUNTS	(sizeof(shared) / sizeof(*shared))

static void store(int dir_fd)
{
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_MNTS);
	for (size_t i = 0; i < MOUNTS; i++) {
		Img__MntEntry mount = IMG__MNT_ENTRY__INIT;

		mount.has_shared_id = mount.has_master_id = true;
		mount.shared_id = shared[i];
		mount.master_id = masters[i];
		image_out_add(&out, &mount.base);
	}
	assert_int_equal(image_out_store(&out, dir_fd, NAME, &err), 0);
	image_out_free(&out);
}

static void read_back(int dir_fd, uint32_t *shared_now, uint32_t *masters_now)
{
	struct error err = { 0 };
	ProtobufCMessage *msg;
	struct image image;

	assert_int_equal(image_open(&image, dir_fd, NAME, IMAGE_MNTS, &err), 0);
	for (size_t i = 0; i < MOUNTS; i++) {
		assert_int_equal(image_next(&image, &img__mnt_entry__descriptor, &msg, &err), 1);
		shared_now[i] = ((Img__MntEntry *)msg)->shared_id;
		masters_now[i] = ((Img__MntEntry *)msg)->master_id;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_close(&image);
}

static void each_follows_a_group_of_its_own(void **state)
{
	uint32_t shared_now[MOUNTS], masters_now[MOUNTS];
	struct error err = { 0 };
	struct test_dir dir;

	dir_make(&dir);
	store(dir.fd);
	assert_int_equal(criu_followers_part(dir.fd, &err), 0);
	read_back(dir.fd, shared_now, masters_now);
	assert_memory_equal(shared_now, shared, sizeof(shared));
	for (size_t i = 0; i < MOUNTS; i++) {
		bool outside = masters[i] == 5 || masters[i] == 9;

		if (!outside)
			assert_int_equal(masters_now[i], masters[i]);
		for (size_t j = 0; outside && j < MOUNTS; j++) {
			assert_int_not_equal(masters_now[i], shared[j]);
			if (j != i)
				assert_int_not_equal(masters_now[i], masters_now[j]);
		}
	}
	dir_remove(&dir);
}

static void a_program_without_mounts_of_its_own_has_no_image(void **state)
{
	struct error err = { 0 };
	struct test_dir dir;

	dir_make(&dir);
	assert_int_equal(criu_followers_part(dir.fd, &err), 0);
	dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_follows_a_group_of_its_own),
		cmocka_unit_test(a_program_without_mounts_of_its_own_has_no_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
