# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by every script in this folder: where things are, and how to complain.

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$vm_dir/../.." && pwd)
# Clones may share one cache, which costs minutes to fill.
cache=${SPLICE_VM_CACHE:-$top/.cache}

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

say()
{
	echo "${0##*/}: $*" >&2
}

# packages SECTION: the package lines of one section of the list.
packages()
{
	sed -n "/^\[$1\]\$/,/^\[/{/^[[#]/d;/^\$/d;p}" "$vm_dir/packages.txt"
}

# Several people and tests share the cache: what is not there yet is made by
# one of them while the others wait. Held until the script ends.
lock_cache()
{
	mkdir -p "$cache"
	exec 9>"$cache/lock.$1"
	flock 9
}
