# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154,SC2317 # for those who read this in; of tree.sh and handover.sh; functions given to check
# Cases of spaces: user namespaces of the program's own.

uffd_may=/proc/sys/vm/unprivileged_userfaultfd
ids="--map-users=0:100000:65536 --map-groups=0:100000:65536 --setuid 0 --setgid 0"

# has_begun PID: it has a child in the new namespaces, and not only those that unshare starts to map ids
has_begun()
{
	local own of
	own=$(readlink /proc/self/ns/user)
	for pid in $(pgrep -P "$1"); do
		of=$(readlink "/proc/$pid/ns/user")
		[ -z "$of" ] || [ "$of" = "$own" ] || return 0
	done
	return 1
}

# start_user COMMAND [OPTIONS]: the first process of namespaces that the options of unshare make. keep: its groups
start_user()
{
	setsid setpriv --groups "${keep:-0}" unshare --fork ${2:---user --pid --mount-proc} $ids setsid sh -c "$1" < /dev/null > /dev/null 2>&1 &
	outside=$!
	wait_for 10 has_begun "$outside"
}

one_of() { side_pids "$1" "$2" | head -n 1; }
# uids_of SIDE NAME: of the machine, sorted
uids_of() { side_pids "$1" "$2" | while read -r at; do awk '/^(Uid|CapEff):/ { print $2 }' "/proc/$at/status"; done | sort | tr '\n' ' '; }
has_uids() { fail="it has $(uids_of "$1" "$2")" && [ "$(uids_of "$1" "$2")" = "$3" ]; }
runs_in() { [ -n "$(side_pids "$1" "$2")" ]; }
user_of() { readlink "/proc/$(one_of "$1" "$2")/ns/user"; }
has_map() { fail="$(cat "/proc/$(one_of dst "$1")/uid_map")" && [[ $fail =~ 0\ +100000\ +65536$ ]]; }
own_user() { has_map "$1" && [ "$(user_of dst "$1")" != "$(readlink /proc/self/ns/user)" ]; }
owner_is() { fail="it is $(nsenter --mount -t "$(one_of "$1" limited)" stat -c %u:%g "$2")" && [ "$fail" = "it is $3" ]; }

# As an unprivileged container: root of it, and a user of it without rights.
run_user()
{
	local mode before left
	mkdir -p /run/migrate-helper
	for mode in auto postcopy; do
		left=$(ls -A /run/migrate-helper)
		start_user "mount -t tmpfs own /mnt; touch /mnt/text; chown 1000:1001 /mnt/text
			setpriv --reuid 1000 --regid 1001 --clear-groups limited serve 5002 8 & exec limited serve 5001 8"
		check "user: $mode: they run" goes_on src 5001 5002
		before=$(uids_of src limited)
		check "user: $mode: as two users" [ "$(wc -w <<< "$before")" = 4 ]
		check "user: $mode: the tree moves" move --mode $mode
		check "user: $mode: they go on" goes_on dst 5001 5002
		check "user: $mode: all memory was compared" verified
		check "user: $mode: as the same users, with the same rights" has_uids dst limited "$before"
		check "user: $mode: in a user namespace with the same ids" own_user limited
		check "user: $mode: a file of its tmpfs has its owner" owner_is dst /mnt/text 101000:101001
		check "user: $mode: nothing stays here" nothing_here
		check "user: $mode: nor there" [ "$(ls -A /run/migrate-helper)" = "$left" ]
		end
	done
}

# Three processes share memory.
run_user_shared()
{
	start_user "cd /tmp; exec shared 5001 8 2 memfd store"
	check "user_shared: they run" goes_on src 5001 5002 5003
	check "user_shared: the tree moves" move
	check "user_shared: each page is as its process wrote it" goes_on dst 5001 5002 5003
	end
}

inside_is() { fail="it is $(nsenter --uts -t "$(pgrep -xo counter)" hostname)" && [ "$fail" = "it is $1" ]; }

# All namespaces at once.
run_user_all()
{
	local before
	cp "$(command -v dash)" $tmp/counter
	start_user "mount -t tmpfs own /mnt; ip link set lo up; hostname own-name
		exec unshare --ipc $tmp/counter -c 'while :; do i=\$((i + 1)); echo \$i > /mnt/new; mv /mnt/new /mnt/count; sleep 0.05; done'" \
		"--user --pid --mount-proc --net --uts --time --cgroup"
	check "user_all: it runs" wait_for 10 sh -c 'pgrep -x counter > /dev/null'
	sleep 0.5
	before=$(nsenter --mount -t "$(pgrep -xo counter)" cat /mnt/count)
	check "user_all: it counts" [ "$before" -gt 2 ]
	check "user_all: it moves" move
	check "user_all: it goes on" [ "$(nsenter --mount -t "$(pgrep -xo counter)" cat /mnt/count)" -ge "$before" ]
	check "user_all: it has its name" inside_is own-name
	pkill -9 -x counter
	end
}

user_refused() # NAME REASON: the program that runs is
{
	check "user_refused: $1: it runs" goes_on src 5001
	check "user_refused: $1" fails_with 4
	check "user_refused: $1: by its name" refused "$2"
	check "user_refused: $1: it goes on here" goes_on src 5001
	end
}

# What CRIU does not carry is refused in SETUP, and told.
run_user_refused()
{
	local same=$ids
	start_user "exec limited serve 5001 8" --user
	user_refused "alone" "a user namespace of its own and no PID namespace"
	start_user "exec limited serve 5001 8" "--user --pid"
	user_refused "without mounts" "a user namespace of its own and no mount namespace"
	start_user "exec limited serve 5001 8" "--user --pid --mount"
	user_refused "without /proc" "has no /proc of its PID namespace"
	start_user "exec unshare --user --map-user=0 --map-group=0 limited serve 5001 8"
	user_refused "below another one" "is below another one, and CRIU carries one alone"
	ids="--map-root-user" start_user "exec limited serve 5001 8"
	user_refused "setgroups" "denies setgroups()"
	ids="--map-users=1:100000:10 --map-groups=1:100000:10 --setuid 1 --setgid 1" start_user "exec limited serve 5001 8" "--user --pid --mount"
	user_refused "without root" "has no uid 0, or no gid 0"
	ids="" start_user "exec unshare $same --fork --user --pid --mount-proc setsid limited serve 5001 8" --net
	wait_for 20 runs_in dst limited
	pid=$(side_pids dst limited)
	check "user_refused: owner: it is refused" fails_with 4
	check "user_refused: owner: by its name" refused "the network namespace of process .* does not belong to its user namespace"
	end
	ids="--map-users=0:0:1000 --map-groups=0:0:1" keep=7 start_user "exec limited serve 5001 8"
	user_refused "group" "has group 7, which is not mapped"
	start "limited serve 5001 8 & setpriv --clear-groups unshare --user $ids limited serve 5002 8 & wait"
	user_refused "of a child" "is in another user namespace than process"
}

# The destination does not allow it a userfaultfd.
run_user_uffd()
{
	start_user "exec limited serve 5001 8"
	echo 0 > $uffd_may
	check "user_uffd: it runs" goes_on src 5001
	check "user_uffd: refused there" fails_with 5
	check "user_uffd: with what helps" refused "sysctl vm.unprivileged_userfaultfd=1"
	check "user_uffd: it goes on here" goes_on src 5001
	echo 1 > $uffd_may
	check "user_uffd: allowed it moves" move
	check "user_uffd: it goes on there" goes_on dst 5001
	end
}

# The destination's CRIU is killed, or its helper: the program goes on here.
run_user_undo()
{
	local victim
	for victim in criu migrate-helper; do
		start_user "limited serve 5002 8 & exec limited serve 5001 8"
		check "user_undo: $victim: they run" goes_on src 5001 5002
		rm -f $tmp/serve.json
		(wait_for 60 grep -qs '"state": *"RESTORE"' $tmp/serve.json && kill -9 "$(side_pids dst $victim | tail -n 1)") &
		MIGRATE_HELPER_STATE_DELAY_MS=1000 check "user_undo: $victim: the move fails when it is killed" fails
		check "user_undo: $victim: they go on here" goes_on src 5001 5002
		check "user_undo: $victim: nothing is there" nothing_there
		check "user_undo: $victim: they move then" move
		check "user_undo: $victim: they go on there" goes_on dst 5001 5002
		end
	done
}
