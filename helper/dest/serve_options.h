/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_SERVE_OPTIONS_H
#define MIGRATE_DEST_SERVE_OPTIONS_H

#include "criu/criu.h"
#include "dest/kept_addresses.h"
#include "dest/places.h"
#include "dest/sender_rule.h"
#include "wire/given.h"
#include "wire/tls_keys.h"

#define SERVE_LISTEN	"unix:/run/migrate-helper/serve.sock"

/**
 * struct serve_options - options of the command line, and facts about this machine
 * @listen: NULL: the socket of a socket unit, else SERVE_LISTEN
 * @from: connect there, and take one program; NULL: listen
 * @ledger: directory; NULL: the default
 * @take_addresses: which addresses may move here with programs
 * @criu_config: file of options that programs may ask for; NULL: there is none
 * @config: the options of that file
 * @given: descriptors that the caller opened: the connections of one migration in place of @listen; a manager
 * @fs_driver: command that takes in files over one of them, or NULL
 * @max_bytes: memory for all migrations; 0: the available memory
 * @places: shared by all migrations
 * @rule: what the sender may send, in a migration's process
 * @place: place of this migration, in its process
 * @peer: address of its other end, in its process; NULL: it is not known
 */
struct serve_options {
	const char *listen, *from;
	const char *images_base, *ledger;
	struct address_terms take_addresses;
	const char *criu_config;
	struct given given;
	const char *fs_driver;
	uint64_t max_bytes;
	struct tls_options tls;
	bool once, json;
	struct criu_version criu;
	struct criu_config config;
	struct places *places;
	struct place *place;
	const char *peer;
	struct sender_rule rule;
};

#endif
