// SPDX-License-Identifier: GPL-2.0
/* Prints the tables of nftables in this network namespace: what `nft list ruleset` would. */
#include <nftables/libnftables.h>
#include <stdio.h>

int main(void)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	return !nft || nft_run_cmd_from_buffer(nft, "list ruleset");
}
