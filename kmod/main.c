// SPDX-License-Identifier: GPL-2.0
/* splice_vm: the device node, and what is set up once. */
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "attach.h"
#include "file.h"
#include "inflight.h"
#include "netlink.h"
#include "dirty_log.h"

/* For root alone, until an administrator's udev rule says otherwise. */
static struct miscdevice splice_vm_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "splice_vm",
	.fops = &splice_vm_fops,
	.mode = 0600,
};

static int __init splice_vm_init(void)
{
	int ret;

	ret = splice_vm_dirty_log_cache_create();
	if (ret)
		return ret;
	ret = splice_vm_attach_init();
	if (ret)
		goto out_cache;
	ret = splice_vm_netlink_register();
	if (ret)
		goto out_cache;
	ret = misc_register(&splice_vm_device);
	if (ret)
		goto out_netlink;
	return 0;

out_netlink:
	splice_vm_netlink_unregister();
out_cache:
	splice_vm_dirty_log_cache_destroy();
	return ret;
}

static void __exit splice_vm_exit(void)
{
	misc_deregister(&splice_vm_device);
	splice_vm_netlink_unregister();
	splice_vm_inflight_exit();
	splice_vm_dirty_log_cache_destroy();
}

module_init(splice_vm_init);
module_exit(splice_vm_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("splice_vm developers");
MODULE_DESCRIPTION("Pages of other tasks into sockets by reference, with dirty tracking");
MODULE_VERSION("0.1");
