/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_NETLINK_H
#define SPLICE_VM_NETLINK_H

#include <linux/splice_vm_netlink.h>

#include "session.h"

int splice_vm_netlink_register(void);
void splice_vm_netlink_unregister(void);
void splice_vm_netlink_notify(struct splice_vm_session *sess,
			      enum splice_vm_cmd cmd);

#endif
