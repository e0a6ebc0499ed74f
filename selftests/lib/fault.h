/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's fault injection, for calls of this thread. Needs the debug kernel. */
#ifndef SPLICE_VM_SELFTESTS_FAULT_H
#define SPLICE_VM_SELFTESTS_FAULT_H

#include <stdbool.h>

/* Every allocation may fail, also those that may sleep. */
void fault_init(void);

/**
 * struct fault_way - a way to make allocations in the kernel fail
 * @name: name for messages
 * @arm: make allocations fail from now on; @n: which one, or how many
 * @disarm: end that. Return: number of failed allocations
 */
struct fault_way {
	const char *name;
	void (*arm)(unsigned int n);
	bool (*disarm)(void);
};

/* Only the @n-th allocation, or copy from or to user space, fails. */
extern const struct fault_way fault_nth;
/* The first @n allocations fail, fallbacks after a failure included. */
extern const struct fault_way fault_storm;

#endif
