# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # cache, of lib.sh
# How many guests run on this machine at a time. Emulated CPUs that share a real
# one lose their time in waiting for each other, and time-outs turn random.

# slots_take COUNT: waits for that many. They are given back when this process
# and its children have ended.
slots_take()
{
	local want=$1 max nr fd waiting=
	max=$(($(nproc) * 2))
	mkdir -p "$cache/slots"
	while :; do
		slots=()
		exec {slots_lock}> "$cache/slots/lock"
		flock "$slots_lock"
		for ((nr = 0; nr < max && ${#slots[@]} < want; nr++)); do
			exec {fd}> "$cache/slots/$nr"
			if flock -n "$fd"; then
				slots+=("$fd")
			else
				exec {fd}>&-
			fi
		done
		exec {slots_lock}>&-
		[ ${#slots[@]} -lt "$want" ] || return 0
		for fd in "${slots[@]}"; do
			exec {fd}>&-
		done
		[ "$waiting" ] || say "waiting for other guests to end"
		waiting=1
		sleep 0.5
	done
}
