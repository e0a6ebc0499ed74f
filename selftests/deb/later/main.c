// SPDX-License-Identifier: GPL-2.0
/*
 * Stands for the module of a later version, in the test of upgrades: what counts there is
 * that it is another one, and compiling the whole module takes minutes in an emulator.
 */
#include <linux/module.h>

static int __init later_init(void)
{
	return 0;
}

static void __exit later_exit(void)
{
}

module_init(later_init);
module_exit(later_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A later version of splice_vm, that does nothing");
MODULE_VERSION("0.1");
