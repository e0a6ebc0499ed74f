/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SPLICE_VM_INFLIGHT_H
#define SPLICE_VM_INFLIGHT_H

#include <net/sock.h>

#include "session.h"

struct splice_vm_flight;

int splice_vm_inflight_open(struct splice_vm_session *sess);
void splice_vm_inflight_close(struct splice_vm_session *sess);
void splice_vm_inflight_read(struct splice_vm_session *sess,
			     unsigned long *session, unsigned long *user);
unsigned long splice_vm_inflight_limit(void);
void splice_vm_inflight_exit(void);

struct splice_vm_flight *splice_vm_flight_get(struct splice_vm_session *sess,
					      struct sock *sk);
void splice_vm_flight_put(struct splice_vm_flight *flight);
bool splice_vm_flight_reserve(struct splice_vm_flight *flight,
			      unsigned long pages);
void splice_vm_flight_trim(struct splice_vm_flight *flight,
			   unsigned long *reserved, unsigned long pages);
void splice_vm_flight_commit(struct splice_vm_flight *flight,
			     unsigned long reserved, unsigned long pages,
			     u64 bytes);

#endif
