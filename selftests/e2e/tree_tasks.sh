# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154,SC2317 # for those who read this in; of tree.sh and handover.sh; functions given to check
# Cases of tree: processes that do all kinds of things while they move.

# A shell and two children, which do not know each other.
run_children()
{
	local mode
	for mode in auto postcopy; do
		start "limited serve 5001 8 & limited serve 5002 24 & wait"
		check "$mode: they run" goes_on src 5001 5002
		check "$mode: the tree moves" move --mode $mode
		check "$mode: all memory was compared" verified
		check "$mode: the children go on" goes_on dst 5001 5002
		check "$mode: nothing stays here" nothing_here
		end
	done
}

descendants() { local child; echo "$1"; for child in $(pgrep -P "$1"); do descendants "$child"; done; }
arriving() { migrate-helper status --json | sed 's/.*"arriving"://; s/"sessions".*//' | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*' | sort -n | tr '\n' ' '; }
arrives() { local at; at=$(descendants "$pid" | sort -n | tr '\n' ' '); fail="of $at status names $(arriving)" && [ "$(arriving)" = "$at" ]; }

nothing_arrives() { [ -z "$(arriving)" ]; }

# In rounds alone. Between the last round and the freeze the destination tells which processes it has memory of.
run_arriving()
{
	start "limited serve 5001 8 & sh -c 'limited serve 5002 4 & limited serve 5003 4 & wait' & wait"
	check "arriving: they run" goes_on src 5001 5002 5003
	ticker=$pid
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until FREEZE
	check "arriving: the rounds end" wait_for 60 in_state FREEZE
	check "arriving: status there names each process of the source, and no other" arrives
	check "arriving: the tree moves" wait "$migrate"
	check "arriving: status there names nothing more" nothing_arrives
	end
}

# Faults of the children that the root at $1 has waited for.
waited_for() { awk '{ print $11 }' "/proc/$1/stat"; }

works() { local before; before=$(waited_for "$1") && sleep 1 && [ "$(waited_for "$1")" -gt "$before" ]; }
root_there() { side_pids dst sh | head -n 1; }
root_works() { fail="the root does not start processes any more" && works "$(root_there)"; }

# gives_up VICTIM: the tree is moved until it stands at both ends, and one end dies: it goes on here
gives_up()
{
	ticker=$pid
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until READY
	fail="it is not READY" && wait_for 30 in_state READY || return 1
	strike "$1"
	fail="it is not given up" && wait_for 20 ended "$migrate" && wait_for 20 ended "$serve" && goes_on src 5001
}

# For as long as the storm blows.
gives_up_often()
{
	local times=0
	while [ $((SECONDS - began)) -lt "${STORM_S:-30}" ]; do
		gives_up source-helper && gives_up dest-helper || return 1
		times=$((times + 2))
	done
	echo "# given up $times times in $((SECONDS - began)) s"
}

# How many processes the root has started in a second since $began: less than 50 where this machine is busy.
has_told() { compgen -G "$tmp/storm.*" > /dev/null; }
blew()
{
	local told
	kill -USR1 "$pid"
	fail="it does not tell" && wait_for 10 has_told || return 1
	told=$(compgen -G "$tmp/storm.*")
	fail="${told##*.} processes in $((SECONDS - began)) s" && echo "# $fail" && [ "${told##*.}" -ge $((10 * (SECONDS - began))) ]
}

# Processes begin and end all the time, 50 a second for half a minute, beside one that stays.
run_storm()
{
	local began=$SECONDS
	rm -rf $tmp/storm.*
	start "trap 'mkdir $tmp/storm.\$i' USR1; i=0; limited serve 5001 16 &
		while :; do /bin/true & i=\$((i + 1)); sleep 0.02; done"
	check "storm: they run" goes_on src 5001
	check "storm: given up again and again it goes on" gives_up_often
	check "storm: it blew all the time" blew
	check "storm: the tree moves" move
	check "storm: what stays goes on" goes_on dst 5001
	check "storm: the root goes on" root_works
	end
}

# What two processes share moves with both.
run_pipes()
{
	start "limited serve 5001 8 | limited serve 5002 8"
	check "pipes: they run" goes_on src 5001 5002
	check "pipes: the tree moves" move
	check "pipes: the children go on" goes_on dst 5001 5002
	end
}

# One process has a new address space all the time.
run_exec()
{
	printf '#!/bin/sh\nsleep 0.05\nexec %s\n' $tmp/again > $tmp/again
	chmod +x $tmp/again
	start "limited serve 5001 16 & $tmp/again & wait"
	check "exec: they run" goes_on src 5001
	check "exec: the tree moves" move
	check "exec: what stays goes on" goes_on dst 5001
	check "exec: the other one goes on" pgrep -x again
	end
}

# The child of port 5001 ends, and another one of port 5002 gets its pid, which is sought by a second and a third try.
use_again()
{
	# shellcheck disable=SC2016 # for the program's shell
	echo 'b=; kill -9 $a; wait $a
		until [ "$b" = $a ]; do
			[ ! "$b" ] || { kill -9 $b; wait $b; }
			echo $((a - 1)) > /proc/sys/kernel/ns_last_pid
			limited serve 5002 8 & b=$!
		done'
}
has_pid() { fail="it has pid $(side_pids "$1" limited)" && [ "$(side_pids "$1" limited)" = "$2" ]; }

# A pid is used again between Setup, which has looked at its first process, and the first round.
run_reused()
{
	local child
	use_again > $tmp/use_again
	start "trap '. $tmp/use_again' USR1; limited serve 5001 8 & a=\$!; while :; do sleep 0.05; done"
	check "reused: it runs" goes_on src 5001
	child=$(side_pids src limited)
	ticker=$pid
	migrate_args=--verify
	MIGRATE_HELPER_STATE_DELAY_MS=2000 start_migration_until PRECOPY
	migrate_args=
	check "reused: the first round is next" wait_for 60 in_state PRECOPY
	kill -USR1 "$pid"
	check "reused: another one runs" goes_on src 5002
	check "reused: it has the pid of the first" has_pid src "$child"
	check "reused: the tree moves" wait "$migrate"
	check "reused: all memory was compared" verified
	check "reused: the other one goes on" goes_on dst 5002
	end
}

zombies() { pgrep -c -r Z -x sleep; }
one_zombie() { fail="$(zombies) zombies" && [ "$(zombies)" = "$1" ]; }

# A child that has ended, and waits for its parent.
run_zombie()
{
	start "sleep 0.1 & exec limited serve 5001 8"
	check "zombie: it waits" wait_for 10 one_zombie 1
	check "zombie: they run" goes_on src 5001
	check "zombie: the tree moves" move
	check "zombie: the parent goes on" goes_on dst 5001
	check "zombie: it is a zombie there" one_zombie 1
	end
}

stopped() { ps -o stat= -p "$(side_pids "$1" limited | head -n 1)" | grep -q '^T'; }
is_stopped() { fail="it is not stopped" && stopped "$1"; }
session_of() { ps -o sid= -p "$1" | tr -d ' '; }
leads() { local at; at=$(side_pids "$1" limited) && fail="it leads no session" && [ "$(session_of "$at")" = "$at" ]; }

# A child that is stopped stays so.
run_stopped()
{
	start 'limited serve 5001 8 & sleep 0.5; kill -STOP $!; wait'
	check "stopped: it is" wait_for 10 stopped src
	check "stopped: the tree moves" move
	check "stopped: it is stopped there" is_stopped dst
	pkill -CONT -x limited
	check "stopped: it goes on" goes_on dst 5001
	end
}

# A child in a session of its own.
run_session()
{
	start "setsid limited serve 5001 8 & wait"
	check "session: it runs" goes_on src 5001
	check "session: the tree moves" move
	check "session: it goes on" goes_on dst 5001
	check "session: it leads its session" leads dst
	end
}

# What a parent of 64 MiB and eight children have in common is sent once. sent_once TENTHS: of the parent, at most
sent_once()
{
	local pages
	pages=$(result | sed 's/.*"sent_pages":\([0-9]*\).*/\1/')
	fail="$pages pages were sent" && [ "$pages" -le $((64 * 256 * $1 / 10)) ]
}

ports() { seq 5001 $((5001 + $1)); }

# Children that have all of their memory from their parent, which nobody writes. A page that is on its way when a
# fault asks for it comes twice.
run_family()
{
	local verify tenths=12
	for verify in --verify ""; do
		start "exec family 5001 64 8 idle 1"
		# shellcheck disable=SC2046 # a list
		check "family $verify: they run" goes_on src $(ports 8)
		check "family $verify: the tree moves" move
		# shellcheck disable=SC2046
		check "family $verify: they go on" goes_on dst $(ports 8)
		check "family $verify: what they share was sent once" sent_once $tenths
		end
		tenths=22
	done
}

# Forks, and writes on both sides of them, at all times. Every second time pages come while it writes.
run_oracle()
{
	local seed=$RANDOM time verify
	for time in $(seq "${ORACLE:-4}"); do
		verify=--verify
		[ $((time % 2)) = 1 ] || verify=
		start "exec family 5001 16 3 busy $seed$time"
		# shellcheck disable=SC2046 # a list
		check "oracle $time, seed $seed$time: they run" goes_on src $(ports 3)
		check "oracle $time: the tree moves" move
		# shellcheck disable=SC2046
		check "oracle $time $verify: each page is that of its process" goes_on dst $(ports 3)
		end
	done
}

# huge_mib PID: MiB of its memory that are in huge pages
huge_mib() { awk '/^AnonHugePages:/ { print int($2 / 1024) }' "/proc/$1/smaps_rollup"; }
# In MiB, of those that have any
huge_on() { local at mib; for at in $(side_pids "$1" limited); do mib=$(huge_mib "$at"); [ "$mib" = 0 ] || echo "$mib"; done; }
are_huge() { fail="huge pages of $1: $(huge_on "$1" | tr '\n' ' ')MiB" && [ "$(huge_on "$1" | awk -v least="$2" '$1 >= least' | wc -l)" = 2 ]; }

# Two children with huge pages, and one without.
run_huge()
{
	local verify
	if grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/enabled; then
		ok "huge # SKIP this machine gives no huge pages"
		return
	fi
	for verify in --verify ""; do
		start "limited serve 5001 64 huge & limited serve 5002 64 huge & limited serve 5003 16 & wait"
		check "huge $verify: they run" goes_on src 5001 5002 5003
		check "huge $verify: they have huge pages" are_huge src 60
		check "huge $verify: the tree moves" move
		check "huge $verify: they go on" goes_on dst 5001 5002 5003
		check "huge $verify: they have huge pages again" wait_for "${HUGE_S:-20}" are_huge dst 60
		end
	done
}

has_open() { fail="it is $(readlink "/proc/$(side_pids dst limited)/fd/3")" && [[ $fail = *" $1" ]]; }

# A child has a file open whose name is gone and that has another one.
run_renamed()
{
	head -c 4096 /dev/urandom > /srv/tree-text
	start "sh -c 'exec 3< /srv/tree-text; ln /srv/tree-text /srv/tree-text.2; rm /srv/tree-text
		exec limited serve 5001 8' & wait"
	check "renamed: it runs" goes_on src 5001
	check "renamed: the tree moves" move
	check "renamed: it goes on" goes_on dst 5001
	check "renamed: its file has the other name" has_open /srv/tree-text.2
	end
	rm -f /srv/tree-text.2
}

no_new_privs() { local at; at=$(side_pids dst sleep) && fail="no_new_privs is off" && grep -q '^NoNewPrivs:.1' "/proc/$at/status"; }

# One child has an attribute that it has to set itself there, while the others stand.
run_attributes()
{
	start "limited serve 5001 8 & setpriv --no-new-privs sleep 1000 & wait"
	check "attributes: it runs" goes_on src 5001
	check "attributes: the tree moves" move
	check "attributes: the other child goes on" goes_on dst 5001
	check "attributes: the child has its own" no_new_privs
	end
	pkill -9 -x sleep
}

fails() { fail="exit status 0" && ! move --mode auto; }
ready_is_said() { grep -qs '"state": *"READY"' $tmp/serve.json; }

# A child is killed there between Ready and COMMIT: the program goes on here, with that child.
run_killed()
{
	start "limited serve 5001 8 & limited serve 5002 8 & wait"
	check "killed: they run" goes_on src 5001 5002
	rm -f $tmp/serve.json
	(wait_for 60 ready_is_said && kill -9 "$(side_pids dst limited | tail -n 1)") &
	MIGRATE_HELPER_STATE_DELAY_MS=1500 MIGRATE_HELPER_STATE_DELAY_FROM=COMMIT,READY check "killed: the move fails" fails
	check "killed: the reason is told" refused "1 of the 3 restored processes"
	check "killed: both go on here" goes_on src 5001 5002
	check "killed: nothing is left there" nothing_there
	end
}

# Those that began, and have not come to their end. No process may have a file open: so these are directories.
unended() { find $tmp/orphans -name 'begun.*' | wc -l; }
begun() { find $tmp/orphans | wc -l; }
none_begun() { [ "$(unended)" = 0 ]; }
all_ended() { wait_for 20 none_begun || { fail="$(unended) of $(begun) did not end" && false; }; }

# Daemons: the parent of each ends soon, so that the daemon is init's child and does not move. The
# root stands or moves; the daemons that are not in the tree when it is frozen live on here.
run_orphans()
{
	rm -rf $tmp/orphans
	mkdir -p $tmp/orphans
	printf '#!/bin/sh\nmkdir %s/begun.$$\nsleep 3\nmv %s/begun.$$ %s/ended.$$\n' \
		$tmp/orphans $tmp/orphans $tmp/orphans > $tmp/daemon
	chmod +x $tmp/daemon
	start "limited serve 5001 16 & while :; do ($tmp/daemon & sleep 0.1) & sleep 0.03; done"
	check "orphans: they run" goes_on src 5001
	check "orphans: the tree moves" move
	check "orphans: what stays goes on" goes_on dst 5001
	kill -STOP "$(root_there)"
	check "orphans: each comes to its end, here or there" all_ended
	end
}

pidfd_there() { fail="it has no pidfd" && grep -q '^Pid:.*[1-9]' /proc/"$(side_pids dst python3)"/fdinfo/3; }

# A process has a pidfd of another one, which moves with it.
run_pidfd()
{
	start 'limited serve 5001 8 & exec python3 -c "import os, sys, signal
os.pidfd_open(int(sys.argv[1]))
signal.pause()" $!'
	check "pidfd: they run" goes_on src 5001
	check "pidfd: the tree moves" move
	check "pidfd: the child goes on" goes_on dst 5001
	check "pidfd: it has it there" pidfd_there
	end
	pkill -9 -x python3
}

filters() { side_pids "$1" sleep | sed 's|.*|/proc/&/status|' | xargs -r grep -ch '^Seccomp:.2'; }
filtered() { fail="it has no filter" && [ "$(filters "$1")" = 1 ]; }

# A child has a seccomp filter, which lets all calls pass, and its parent has none.
run_seccomp()
{
	# BPF_RET | BPF_K, SECCOMP_RET_ALLOW
	printf '\6\0\0\0\0\0\377\177' > $tmp/filter
	start "setpriv --seccomp-filter $tmp/filter sleep 1000 & wait"
	check "seccomp: it has a filter" wait_for 10 filtered src
	check "seccomp: the tree moves" move
	check "seccomp: it has the filter there" filtered dst
	end
	pkill -9 -x sleep
}

not_moved() { ! move "$@" && [ $status = 4 ]; }

# One of them alone would stand for a third of that.
run_downtime()
{
	start "for at in \$(seq 5001 5030); do limited serve \$at 1 & done; wait"
	check "downtime: they run" goes_on src 5001 5030
	check "downtime: refused" not_moved --max-downtime 100
	check "downtime: the reason is told" refused "would stand for about"
	check "downtime: they go on" goes_on src 5001 5030
	end
}

sleepers() { side_pids "$1" sleep | wc -l; }
have_sleepers() { fail="$(sleepers "$1") of $2" && [ "$(sleepers "$1")" = "$2" ]; }

# More processes than descriptors that a user may have by default.
run_many()
{
	local many=${MANY:-300}
	start "ulimit -n 256; limited serve 5001 8 & for i in \$(seq $many); do sleep 1000 & done; wait"
	check "many: they run" wait_for 20 have_sleepers src "$many"
	check "many: the tree moves" eval "ulimit -Sn 1024; move"
	check "many: all are there" have_sleepers dst "$many"
	check "many: the one that works goes on" goes_on dst 5001
	end
	pkill -9 -x sleep
}

tells_guards() { sort -CV <<< "6.16
$(uname -r)"; }

# CRIU does not carry guard pages.
run_guards()
{
	if ! tells_guards; then
		ok "guards # SKIP this kernel does not tell guard pages"
		return
	fi
	start "limited serve 5001 8 & limited serve 5002 8 guard 4 & wait"
	check "guards: they run" goes_on src 5001 5002
	check "guards: the move is refused" not_moved
	check "guards: the reason is told" refused "guard pages (MADV_GUARD_INSTALL)"
	check "guards: they go on" goes_on src 5001 5002
	end
}

# A file system whose server, $silent, answers when it is killed: who looks at it waits in the kernel, and cannot be stopped.
silence()
{
	mkdir -p /srv/silent
	[ -e /dev/fuse ] || mknod /dev/fuse c 10 229
	sh -c 'exec 8<> /dev/fuse && mount -i -t fuse -o fd=8,rootmode=40000,user_id=0,group_id=0 silent /srv/silent &&
		exec sleep 1000' > /dev/null 2>&1 &
	silent=$!
	wait_for 10 grep -q ' /srv/silent ' /proc/mounts
}
answer() { umount -l /srv/silent; kill -9 "$silent"; }
blocked() { pgrep -r D -x stat > /dev/null; }
is_blocked() { fail="stat is $(ps -C stat -o stat=)" && blocked; }
stood_ms() { result | sed 's/.*"frozen_ns":\([0-9]*\).*/\1/' | awk '{ print int($1 / 1000000) }'; }
did_not_stand() { fail="it stood for $(stood_ms) ms" && [ "$(stood_ms)" = 0 ]; }

# One of them waits in the kernel. It is named, and the tree moves when the wait is over.
run_blocked()
{
	if ! grep -qw fuse /proc/filesystems || ! silence; then
		ok "blocked # SKIP this machine has no FUSE"
		return
	fi
	start "limited serve 5001 8 & { stat /srv/silent; exec limited serve 5002 8; } & wait"
	check "blocked: it runs" goes_on src 5001
	check "blocked: one waits in the kernel" wait_for 10 blocked
	check "blocked: the move fails" fails
	check "blocked: it is named" refused "(stat) waits in the kernel"
	check "blocked: no time was lost" did_not_stand
	check "blocked: the other one goes on" goes_on src 5001
	check "blocked: it waits still" is_blocked
	check "blocked: nothing stays" no_group
	answer
	check "blocked: it goes on when the wait is over" goes_on src 5002
	check "blocked: the tree moves then" move
	check "blocked: all go on" goes_on dst 5001 5002
	end
}

# A process that has a file of /proc open for half of the time, which the destination does not have: that of a process that
# stays. The freeze waits for the moment without; that of cgroup v1 cannot.
run_kernel_files()
{
	# shellcheck disable=SC2016 # for the program's shell
	local busy='i=0; while [ $i -lt 600 ]; do i=$((i + 1)); done'
	[ -e /sys/fs/cgroup/cgroup.controllers ] || return 0
	for _ in 1 2 3; do
		start "limited serve 5001 8 & while :; do exec 7< /proc/$$/stat; $busy; exec 7<&-; $busy; done"
		check "kernel_files: it runs" goes_on src 5001
		check "kernel_files: the tree moves" move
		check "kernel_files: it goes on" goes_on dst 5001
		end
	done
}
