/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's fault injection, for calls of this thread. Needs the debug kernel. */
#ifndef SPLICE_VM_SELFTESTS_FAULT_H
#define SPLICE_VM_SELFTESTS_FAULT_H

#include <stdbool.h>

/* Every allocation may fail, also those that may sleep. */
void fault_init(void);

/**
 * struct fault_way - a way to make calls of the kernel fail
 * @name: for people
 * @arm: from now on, with how many or which one
 * @disarm: no more. Return: so many chances came and were taken
 */
struct fault_way {
	const char *name;
	void (*arm)(unsigned int n);
	bool (*disarm)(void);
};

/* The @n-th allocation, or copy from or to user space, fails; no other. */
extern const struct fault_way fault_nth;
/* The first @n allocations fail: also what is tried when the first one failed. */
extern const struct fault_way fault_storm;

#endif
