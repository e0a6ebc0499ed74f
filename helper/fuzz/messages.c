// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include "base/page.h"
#include "base/text.h"
#include "fuzz/messages.h"

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)
#define INPUT_MAX	32	/* most messages of an input */
#define MESSAGE_MAX	2048

#define BODY(name)	MIGRATE__CONTROL__BODY_##name

static void *take_room(struct messages_room *room, size_t bytes)
{
	void *taken = room->bytes + room->used;

	bytes = (bytes + 15) & ~(size_t)15;
	fuzz_assert(bytes <= sizeof(room->bytes) - room->used);
	room->used += bytes;
	return memset(taken, 0, bytes);
}

static void *new_message(struct messages_room *room, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *msg = take_room(room, type->sizeof_message);

	protobuf_c_message_init(type, msg);
	messages_fill(room, msg);
	return msg;
}

/* One value, as a field or an element of a repeated one holds it. Return: its size */
static size_t put_value(struct messages_room *room, const ProtobufCFieldDescriptor *field, void *at)
{
	const uint32_t narrow = field->type == PROTOBUF_C_TYPE_ENUM ?
				((const ProtobufCEnumDescriptor *)field->descriptor)->values[0].value : 1;
	const uint64_t wide = 1;

	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		memcpy(at, &wide, sizeof(wide));
		return sizeof(wide);
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = "x";
		return sizeof(char *);
	case PROTOBUF_C_TYPE_BYTES:
		*(ProtobufCBinaryData *)at = (ProtobufCBinaryData){ .len = 1, .data = (uint8_t *)"x" };
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_MESSAGE:
		*(void **)at = new_message(room, field->descriptor);
		return sizeof(void *);
	default:
		/* no message has a floating-point number */
		fuzz_assert(field->type != PROTOBUF_C_TYPE_DOUBLE && field->type != PROTOBUF_C_TYPE_FLOAT);
		memcpy(at, &narrow, sizeof(narrow));
		return sizeof(narrow);
	}
}

void messages_fill(struct messages_room *room, ProtobufCMessage *msg)
{
	for (unsigned int i = 0; i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];
		uint8_t *at = (uint8_t *)msg + field->offset;

		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			*(void **)at = take_room(room, sizeof(ProtobufCBinaryData));
			put_value(room, field, *(void **)at);
			*(size_t *)((uint8_t *)msg + field->quantifier_offset) = 1;
			continue;
		}
		put_value(room, field, at);
		if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset)
			*(protobuf_c_boolean *)((uint8_t *)msg + field->quantifier_offset) = true;
	}
}

static void setup_fill_vmas(struct messages_setup *to)
{
	for (int i = 0; i < 2; i++) {
		migrate__vma__init(&to->vma[i]);
		messages_fill(&to->room, &to->vma[i].base);
		to->vma[i].start = AT(200 * i);
		to->vma[i].end = AT(200 * i + 100);
		to->vma[i].prot = PROT_READ | PROT_WRITE;
		to->vma[i].ours = !i;
		to->vma[i].shared = i;
		to->vmas[i] = &to->vma[i];
	}
	to->setup.vmas = to->vmas;
	to->setup.n_vmas = 2;
}

void messages_setup_fill(struct messages_setup *to)
{
	static struct utsname uts;

	uname(&uts);
	to->room.used = 0;
	migrate__setup__init(&to->setup);
	messages_fill(&to->room, &to->setup.base);
	setup_fill_vmas(to);
	to->flag = "fpu";
	to->setup.pid = to->setup.objects[0]->pid = MESSAGES_PID;
	to->setup.comm = "prog";
	to->setup.files[0]->path = "/bin/true";
	to->setup.unix_servers[0]->name = "/run/migrate-fuzz";
	to->setup.tmpfs[0]->options = to->setup.tmpfs[0]->flags = "rw";
	to->setup.criu_options[0] = "external mnt[data]";
	to->setup.addresses[0]->address.data = (uint8_t *)"\177\0\0\1";
	to->setup.addresses[0]->address.len = 4;
	to->setup.rss_bytes = 1 << 20;
	to->setup.criu->major = 3;
	to->setup.criu->minor = 17;
	to->setup.kernel = "6.1.0";
	to->setup.arch = uts.machine;
	to->setup.cpu_flags = &to->flag;
	to->setup.mode = "auto";
	to->setup.max_frozen_s = 60;
}

void messages_go_fill(struct messages_go *to)
{
	to->room.used = 0;
	migrate__restore_go__init(&to->go);
	messages_fill(&to->room, &to->go.base);
	to->process = to->go.processes[0];
	to->process->pid = MESSAGES_PID;
	to->thread = to->process->threads[0];
	to->thread->tid = MESSAGES_PID;
	to->thread->timer_slack_ns = 50000;
	to->thread->ambient = 1 << 10;
	to->thread->store_bypass = 4;
	to->thread->cpus.data = (uint8_t *)"\17";
	to->process->coredump_filter = 0x33;
	to->process->sub_group = "/x";
}

void messages_with(Migrate__Control__BodyCase body,
		   void (*use)(void *ctx, const Migrate__Control *msg), void *ctx)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(&migrate__control__descriptor, body);
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct messages_room room = { .used = 0 };
	struct messages_setup setup;
	struct messages_go go;

	msg.body_case = body;
	msg.hello = new_message(&room, field->descriptor);
	if (body == BODY(HELLO)) {
		msg.hello->version = PROTOCOL_VERSION;
	} else if (body == BODY(SETUP)) {
		messages_setup_fill(&setup);
		msg.setup = &setup.setup;
	} else if (body == BODY(ANNOUNCE)) {
		msg.announce->memory_bytes = msg.announce->image_bytes = 1 << 20;
	} else if (body == BODY(READY)) {
		msg.ready->frozen[0]->part = MIGRATE__FROZEN_PART__RESTORE;
	} else if (body == BODY(RESTORE_GO)) {
		messages_go_fill(&go);
		msg.restore_go = &go.go;
	}
	use(ctx, &msg);
}

static void put_stream(void *ctx, const Migrate__Control *msg)
{
	uint32_t length = htole32(migrate__control__get_packed_size(msg));
	uint8_t packed[MESSAGE_MAX];

	fuzz_assert(migrate__control__get_packed_size(msg) <= sizeof(packed));
	fuzz_pipe_put(ctx, &length, sizeof(length));
	fuzz_pipe_put(ctx, packed, migrate__control__pack(msg, packed));
}

void messages_put_course(struct fuzz_pipe *pipe, enum course_side from, unsigned int nr)
{
	static const Migrate__Control__BodyCase source[] = {
		BODY(HELLO), BODY(SETUP), BODY(ANNOUNCE), BODY(FROZEN), BODY(RESTORE_GO),
		BODY(COMMIT),
	}, dest[] = {
		BODY(HELLO), BODY(SETUP_REPLY), BODY(FINAL_ACK), BODY(READY), BODY(STARTED),
		BODY(DONE),
	};
	const Migrate__Control__BodyCase *all = from == COURSE_SOURCE ? source : dest;
	size_t most = from == COURSE_SOURCE ? sizeof(source) : sizeof(dest);

	for (size_t i = 0; i < nr && i < most / sizeof(*all); i++)
		messages_with(all[i], put_stream, pipe);
}

void messages_put_input(struct fuzz_pipe *pipe, struct fuzz_input *in, bool raw)
{
	if (raw)
		fuzz_pipe_put(pipe, in->data, in->size);
	for (int i = 0; !raw && i < INPUT_MAX && in->size; i++) {
		struct fuzz_input msg = fuzz_chunk(in);
		uint32_t length = htole32(msg.size);

		fuzz_pipe_put(pipe, &length, sizeof(length));
		fuzz_pipe_put(pipe, msg.data, msg.size);
	}
	/* what the helper's side says has a place all the same */
	shutdown(pipe->far, SHUT_WR);
}

static void send_it(void *ctx, const Migrate__Control *msg)
{
	struct error err = { 0 };

	fuzz_assert(!control_send(ctx, msg, &err));
}

void messages_send(struct control *ctl, Migrate__Control__BodyCase body)
{
	messages_with(body, send_it, ctl);
}

void messages_assert_printable(const char *text)
{
	char again[4 * TEXT_MAX];

	text_printable(again, sizeof(again), text);
	fuzz_assert(!strcmp(again, text));
}
