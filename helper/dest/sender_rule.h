/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a sender may send: the words behind its name in the list of --allow. "uids=1000-1999,33 gids=33" limits it to programs
 * of these users and groups, without capabilities.
 */
#ifndef MIGRATE_DEST_SENDER_RULE_H
#define MIGRATE_DEST_SENDER_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define SENDER_RANGES	32

/** struct sender_ids - ids from @first to @last */
struct sender_ids {
	size_t nr;
	struct { uint32_t first, last; } ranges[SENDER_RANGES];
};

/**
 * struct sender_rule - zeroed: everything may be sent
 * @name: of the sender, for errors
 * @gids: those of @uids unless they were said
 */
struct sender_rule {
	bool limited;
	char name[64];
	struct sender_ids uids, gids;
};

/** sender_rule_parse() - @words: behind the name @name; empty: no limit. -1 with CODE_USAGE: they are wrong */
int sender_rule_parse(struct sender_rule *rule, const char *name, const char *words, struct error *err);
/** sender_rule_check_list() - each line of the list at @path; it is read anew for each connection */
int sender_rule_check_list(const char *path, struct error *err);
/** sender_ids_have() - all ids from @first to @last */
bool sender_ids_have(const struct sender_ids *ids, uint32_t first, uint32_t last);

#endif
