# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154,SC2317 # for those who read this in; of tree.sh and handover.sh; functions given to check
# Cases of tree: control groups, and PID, time and cgroup namespaces of the program's own.

tree_groups=/sys/fs/cgroup/tree
root_pid() { side_pids "$1" sh | head -n 1; }
# groups_of SIDE: of the root and of the children, in the order of their ports
groups_of()
{
	local at
	group_of "$(root_pid "$1")"
	for at in $(side_pids "$1" limited); do
		echo "$(tr '\0' ' ' < "/proc/$at/cmdline")$(group_of "$at")"
	done | sort
}
are_in() { fail="they are in $(groups_of "$1" | tr '\n' ' ')" && [ "$(groups_of "$1")" = "$2" ]; }

none_made() { fail="/a or /b is there" && [ ! -e /sys/fs/cgroup/a ] && [ ! -e /sys/fs/cgroup/b ]; }

# Children in control groups below that of the root: each is put back there, or is in such a group there.
run_groups()
{
	local here
	mkdir -p $tree_groups/a $tree_groups/b/c
	start "echo 0 > $tree_groups/cgroup.procs
		sh -c 'echo 0 > $tree_groups/a/cgroup.procs; exec limited serve 5001 8' &
		sh -c 'echo 0 > $tree_groups/b/c/cgroup.procs; exec limited serve 5002 8' & wait"
	check "groups: they run" goes_on src 5001 5002
	here=$(groups_of src)
	check "groups: there are several" [ "$(awk '{ print $NF }' <<< "$here" | tr '\n' ' ')" = "/tree /tree/a /tree/b/c " ]
	ticker=$pid
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until READY
	check "groups: they stand" wait_for 30 in_state READY
	check "groups: each in a group that stands" stand
	strike source-helper
	wait_for 10 ended "$migrate"
	check "groups: the helper is killed, and they go on here" goes_on src 5001 5002
	check "groups: each in the group that it was in" wait_for 10 are_in src "$here"
	check "groups: nothing stays" no_group
	wait_for 20 ended "$serve"
	check "groups: none was made there" none_made
	check "groups: the tree moves" move
	check "groups: the children go on" goes_on dst 5001 5002
	check "groups: in groups below that of serve" wait_for 10 are_in dst "$(sed 's,/tree$,/,; s,/tree/,/,' <<< "$here")"
	check "groups: no other is left" no_group
	end
	find $tree_groups /sys/fs/cgroup/a /sys/fs/cgroup/b -depth -type d -exec rmdir {} +
}

# A child in a group that is not below the root's: refused, and it stays there.
run_beside()
{
	local here
	mkdir -p $tree_groups/root $tree_groups/beside
	start "echo 0 > $tree_groups/root/cgroup.procs
		sh -c 'echo 0 > $tree_groups/beside/cgroup.procs; exec limited serve 5001 8' & wait"
	check "beside: it runs" goes_on src 5001
	here=$(groups_of src)
	check "beside: refused" not_moved
	check "beside: the reason is told" refused "is in control group /tree/beside"
	check "beside: it goes on here" goes_on src 5001
	check "beside: in the group that it was in" are_in src "$here"
	end
	find $tree_groups -depth -type d -exec rmdir {} +
}

# start_in COMMAND OPTION...: a root in new namespaces; options of unshare
start_in()
{
	setsid unshare --fork "${@:2}" setsid sh -c "$1" < /dev/null > /dev/null 2>&1 &
	outside=$!
	wait_for 10 has_child "$outside"
	pid=$(pgrep -P "$outside")
}

# start_ns COMMAND: the root is the first process of a PID namespace
start_ns() { start_in "cd /tmp; $1" --pid; }

has_child() { pgrep -P "$1" > /dev/null; }
inner() { awk '/^NSpid:/ { print $NF }' "/proc/$1/status"; }
inners() { side_pids "$1" limited | while read -r at; do inner "$at"; done | sort -n | tr '\n' ' '; }
same_inners() { fail="they are $(inners dst)" && [ "$(inners dst)" = "$1" ]; }
root_is_init() { fail="the root is $(inner "$(root_there)")" && [ "$(inner "$(root_there)")" = 1 ]; }

# The root is the first process of a PID namespace.
run_pidns()
{
	local verify inner
	for verify in --verify ""; do
		start_ns "limited serve 5001 8 & limited serve 5002 24 & sleep 0.1 & exec 3>&-; wait %1"
		check "pidns $verify: they run" goes_on src 5001 5002
		inner=$(inners src)
		check "pidns $verify: the tree moves" move
		check "pidns $verify: the children go on" goes_on dst 5001 5002
		check "pidns $verify: their numbers are the same" same_inners "$inner"
		check "pidns $verify: the root is the first one there" root_is_init
		check "pidns $verify: nothing stays here" nothing_here
		end
	done
}

# Forks, and writes on both sides of them, at all times; the first process of the namespace does it.
run_pidns_oracle()
{
	local seed=$RANDOM verify
	for verify in --verify ""; do
		start_ns "exec family 5001 16 3 busy $seed"
		# shellcheck disable=SC2046 # a list
		check "pidns_oracle $verify, seed $seed: they run" goes_on src $(ports 3)
		check "pidns_oracle $verify: the tree moves" move
		# shellcheck disable=SC2046
		check "pidns_oracle $verify: each page is that of its process" goes_on dst $(ports 3)
		end
	done
}

orphans() { pgrep -c -x -P "$pid" limited; }
one_orphan() { fail="$(orphans) children" && [ "$(orphans)" = 1 ]; }

# given_up: whoever strikes, before COMMIT, the program goes on here as it was
given_up()
{
	fail="it does not stand" && wait_for 30 in_state READY && "$@" || return 1
	fail="an end does not end"
	wait_for 30 ended "$migrate" || return 1
	wait_for 30 ended "$serve" || return 1
	no_group && goes_on src 5001 5002 && nothing_there
}

# The first process has a zombie, and an orphan that the kernel gave to it.
run_pidns_undo()
{
	start_ns "sleep 0.1 & (limited serve 5002 8 &); exec limited serve 5001 8"
	check "pidns_undo: they run" goes_on src 5001 5002
	check "pidns_undo: a zombie waits" wait_for 10 one_zombie 1
	check "pidns_undo: there is an orphan" one_orphan
	ticker=$pid
	for victim in source-helper dest-helper dest-init source-criu; do
		MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until READY
		check "pidns_undo: $victim is killed, and they go on here" given_up strike $victim
	done
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until READY
	check "pidns_undo: a signal ends it, and they go on here" given_up kill -TERM "$migrate"
	check "pidns_undo: the tree moves" move
	check "pidns_undo: they go on" goes_on dst 5001 5002
	check "pidns_undo: it is a zombie there" one_zombie 1
	end
}

# A signal ends the first process there: all end, and serve says by which signal.
run_pidns_ends()
{
	start_ns "limited serve 5002 8 & exec limited serve 5001 8"
	check "pidns_ends: they run" goes_on src 5001 5002
	check "pidns_ends: the tree moves" move
	check "pidns_ends: they go on" goes_on dst 5001 5002
	kill -9 "$(pgrep -x -o limited)"
	check "pidns_ends: all end" wait_for 10 nothing_there
	check "pidns_ends: the init of ours too" wait_for 10 sh -c '! pgrep -x migrate-init'
	end
}

# What cannot be moved is refused by name, and goes on.
run_pidns_refused()
{
	start "unshare --pid --fork setsid limited serve 5001 8"
	check "pidns_refused: it runs" goes_on src 5001
	check "pidns_refused: a namespace of a child" not_moved
	check "pidns_refused: the reason is told" refused "in another PID namespace"
	pid=$(side_pids src unshare)
	check "pidns_refused: a namespace for children" not_moved
	check "pidns_refused: that reason is told" refused "in another PID namespace"
	end
	start_ns "limited serve 5001 8 & limited serve 5002 8 & wait"
	check "pidns_refused: they run" goes_on src 5001 5002
	nsenter --target "$pid" --pid sleep 1000 &
	wait_for 10 pgrep -x sleep > /dev/null
	check "pidns_refused: a stranger in the namespace" not_moved
	check "pidns_refused: the stranger is named" refused "entered the PID namespace"
	pkill -9 -x sleep
	root=$pid pid=$(child)
	check "pidns_refused: a process that is not the first one" not_moved
	check "pidns_refused: it is told" refused "not its first process"
	pid=$root
	check "pidns_refused: they go on here" goes_on src 5001 5002
	end
	mkdir -p /srv/read-only
	mount -t tmpfs -o ro none /srv/read-only
	start_ns "cd /srv/read-only; limited serve 5001 8 & wait"
	check "pidns_refused: it runs where it cannot write" goes_on src 5001
	check "pidns_refused: CRIU could not mount /proc there" not_moved
	check "pidns_refused: the directory is told" refused "cannot mount one in its working directory"
	end
	umount -l /srv/read-only
	setsid unshare --pid --fork limited serve 5001 8 < /dev/null > /dev/null 2>&1 &
	outside=$!
	wait_for 10 has_child "$outside"
	pid=$(pgrep -P "$outside")
	check "pidns_refused: it runs in a session from outside" goes_on src 5001
	check "pidns_refused: that is refused" not_moved
	check "pidns_refused: the session is told" refused "a session that was made outside"
	end
}

# With a mount namespace besides: its /proc/1 is the program's, and the destination cannot lend its memory by that.
run_pidns_shm()
{
	start_in "cd /tmp; exec shared 5001 32 2 memfd store" --pid --mount-proc
	check "pidns_shm: they run" goes_on src 5001 5002 5003
	check "pidns_shm: the tree moves" move
	check "pidns_shm: CRIU copies the memory" refused "CRIU copies its shared memory, while it stands"
	check "pidns_shm: each page is as its process wrote it" goes_on dst 5001 5002 5003
	check "pidns_shm: they share the memory still" sees_others 5001 5002 5003
	end
	start_in "cd /tmp; exec shared 5001 32 2 sysv store" --pid --mount-proc --ipc
	check "pidns_shm: with System V memory they run" goes_on src 5001 5002 5003
	# the process that made the namespace stays in it
	check "pidns_shm: the tree moves" move --accept-loss ipc-namespace
	check "pidns_shm: the pages of the segment were compared" compared
	check "pidns_shm: each page of it is as its process wrote it" goes_on dst 5001 5002 5003
	check "pidns_shm: they share the segment still" sees_others 5001 5002 5003
	end
}

uptime_of() { nsenter --target "$1" --time cut -d. -f1 /proc/uptime; }
went_on() { local now; now=$(uptime_of "$(root_there)") && fail="$1 s before, now $now s" && [ "$now" -ge "$1" ] && [ "$now" -lt $(($1 + 90)) ]; }

# A time namespace: its clocks go on from where they were.
run_timens()
{
	local before
	start_in "limited serve 5001 8 & wait" --time --monotonic 100000 --boottime 500000
	check "timens: it runs" goes_on src 5001
	before=$(uptime_of "$pid")
	check "timens: its clock is its own" [ "$before" -ge 500000 ]
	check "timens: the tree moves" move
	check "timens: it goes on" goes_on dst 5001
	check "timens: its clock goes on" went_on "$before"
	end
	start "exec unshare --time --fork limited serve 5001 8"
	check "timens: it runs" goes_on src 5001
	check "timens: that of a child is refused" not_moved
	check "timens: the reason is told" refused "is in another time namespace"
	check "timens: that for children is told" refused "the children of process $pid are in another time namespace"
	end
}

# inside PID: its control group, as it sees that itself
inside() { nsenter --target "$1" --cgroup sed -n 's/^0:://p' "/proc/$1/cgroup"; }
all_inside() { { inside "$(root_pid "$1")"; side_pids "$1" limited | while read -r at; do inside "$at"; done | sort; } | tr '\n' ' '; }
are_inside() { fail="they are in $(all_inside "$1")" && [ "$(all_inside "$1")" = "$2" ]; }
own_cgroup_ns() { local at; at=$(root_there) && fail="it has none" && [ "$(readlink "/proc/$at/ns/cgroup")" != "$(readlink /proc/self/ns/cgroup)" ]; }

# ip netns exec hides the groups from what it runs
in_group_there() { (echo "$BASHPID" > /sys/fs/cgroup/there/cgroup.procs && "$@"); }

# A cgroup namespace begins with the group of the root, or above it; a child is in a group below that. serve is in another group.
run_cgroupns()
{
	local serve=
	mkdir -p $tree_groups/root/a/b /sys/fs/cgroup/there
	start "echo 0 > $tree_groups/root/cgroup.procs; exec unshare --cgroup sh -c 'limited serve 5001 8 &
		sh -c \"echo 0 > $tree_groups/root/a/cgroup.procs; exec limited serve 5002 8\" & wait'"
	check "cgroupns: they run" goes_on src 5001 5002
	check "cgroupns: they see their groups" are_inside src "/ / /a "
	check "cgroupns: the tree moves" in_group_there move
	check "cgroupns: they go on" goes_on dst 5001 5002
	check "cgroupns: it has one there" own_cgroup_ns
	check "cgroupns: they see their groups there" wait_for 10 are_inside dst "/ / /a "
	check "cgroupns: the root is in the group of serve" [ "$(group_of "$(root_there)")" = /there ]
	end
	start "echo 0 > $tree_groups/root/cgroup.procs; exec unshare --cgroup sh -c 'echo 0 > $tree_groups/root/a/cgroup.procs
		limited serve 5001 8 & sh -c \"echo 0 > $tree_groups/root/a/b/cgroup.procs; exec limited serve 5002 8\" & wait'"
	check "cgroupns: they run in one that begins above the root" goes_on src 5001 5002
	check "cgroupns: they see their groups" are_inside src "/a /a /a/b "
	check "cgroupns: the tree moves" in_group_there move
	check "cgroupns: they go on" goes_on dst 5001 5002
	check "cgroupns: they see their groups there" wait_for 10 are_inside dst "/a /a /a/b "
	check "cgroupns: the root is below the group of serve" [ "$(group_of "$(root_there)")" = /there/a ]
	end
	start "echo 0 > $tree_groups/root/a/cgroup.procs; exec unshare --cgroup sh -c 'echo 0 > $tree_groups/root/cgroup.procs
		exec limited serve 5001 8'"
	check "cgroupns: it runs" goes_on src 5001
	check "cgroupns: one that begins below the root is refused" not_moved
	check "cgroupns: the reason is told" refused "is in /.. of its cgroup namespace"
	check "cgroupns: it goes on here" goes_on src 5001
	end
	find $tree_groups /sys/fs/cgroup/there -depth -type d -exec rmdir {} +
}
