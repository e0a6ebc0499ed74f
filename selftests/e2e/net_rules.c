// SPDX-License-Identifier: GPL-2.0
/* Prints the tables of nftables in this network namespace, as `nft list ruleset`; `net_rules flush` removes them. */
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *what = argc > 1 && !strcmp(argv[1], "flush") ? "flush ruleset" : "list ruleset";

	return !nft || nft_run_cmd_from_buffer(nft, what);
}
