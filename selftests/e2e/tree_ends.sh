# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154,SC2317 # for those who read this in; of tree.sh and handover.sh; functions given to check
# Cases of tree: the move is given up, or a process ends, at each moment.

guard_groups() { find /sys/fs/cgroup -name 'migrate-helper-*' | wc -l; }
has_no_group() { [ "$(guard_groups)" = 0 ]; }
no_group() { fail="a control group is left" && wait_for 20 has_no_group; }
has_no_limited() { [ -z "$(side_pids src limited)" ]; }
no_limited() { fail="a child is left" && wait_for 20 has_no_limited; }
named() { fail="status does not name it" && migrate-helper status | grep -q "process $pid was handed over"; }
group_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }
stand() { fail="it runs" && grep -q "^frozen 1" "/sys/fs/cgroup$(group_of "$(pgrep -x -o limited)")/cgroup.events"; }

# doubt VICTIM: the tree is handed over, and nobody knows any more whether it runs there; its root is killed.
doubt()
{
	start "limited serve 5001 8 & limited serve 5002 8 & wait"
	goes_on src 5001 5002 || return 1
	ticker=$pid
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until RECORDED
	fail="no record" && wait_for 30 in_state RECORDED || return 1
	strike "$1"
	wait_for 10 ended "$migrate"
	named && kill -9 "$pid"
}

# The root of a tree in doubt is killed here: so the tree shall not go on here.
run_root_killed()
{
	check "root_killed: the tree is in doubt, and its root is killed" doubt source-helper
	check "root_killed: the children end too" no_limited
	check "root_killed: nothing stays" no_group
	end
}

child() { pgrep -x -o limited; }

# A child is killed while the tree stands: the destination must not start the tree with or without it.
run_dies()
{
	start "limited serve 5001 8 & limited serve 5002 8 & wait"
	check "dies: they run" goes_on src 5001 5002
	ticker=$pid
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until READY
	check "dies: the tree stands" wait_for 30 in_state READY
	kill -9 "$(child)"
	wait "$migrate"
	status=$?
	fail="exit status $status"
	check "dies: the migration fails" [ "$status" -ge 1 ]
	check "dies: the reason is told" refused "was killed while the program stood"
	check "dies: the others go on here" goes_on src 5002
	check "dies: nothing stays" no_group
	end
}

# The same without a keeper: a person decides.
run_rest()
{
	check "rest: the tree is in doubt, and its root is killed" doubt source-both
	check "rest: the children stand" stand
	check "rest: status names them" named
	check "rest: they are let go" migrate-helper release --pid "$pid" --force
	check "rest: they go on here" goes_on src 5001 5002
	check "rest: nothing stays" no_group
	end
}

reaps() { fail="$(grep SigIgn "/proc/$serve/status")" && ! grep -q '^SigIgn:.*[13579bdf].\{4\}$' "/proc/$serve/status"; }

# Whoever starts the helper ignores SIGCHLD: the kernel would give the pids of ended children to others.
run_reaped()
{
	start "limited serve 5001 8 & wait"
	check "reaped: it runs" goes_on src 5001
	# shellcheck disable=SC2016 # for the shell in there
	serve_by=(bash -c 'trap "" CHLD; exec "$0" "$@"')
	move_begin
	serve_by=()
	check "reaped: serve waits for its children itself" reaps
	kill "$serve"
	wait_for 20 ended "$serve"
	end
}

# A child is killed behind the last look at the tree, while COMMIT is being recorded: nothing was sent yet.
run_dies_late()
{
	start "limited serve 5001 8 & limited serve 5002 8 & wait"
	check "dies_late: they run" goes_on src 5001 5002
	ticker=$pid
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until COMMIT
	check "dies_late: COMMIT is next" wait_for 30 in_state COMMIT
	pkill -STOP -x migrate-keeper -P "$migrate"
	sleep 2
	kill -9 "$(child)"
	pkill -CONT -x migrate-keeper -P "$migrate"
	wait "$migrate"
	status=$?
	fail="exit status $status"
	check "dies_late: the migration fails" [ "$status" = 8 ]
	check "dies_late: the reason is told" refused "was killed while the program stood"
	check "dies_late: the others go on here" goes_on src 5002
	check "dies_late: nothing stays" no_group
	check "dies_late: nothing is left there" nothing_there
	end
}

# late STATUS COMMAND...: run it after COMMIT, before what the destination lacks was sent; both end with STATUS
late()
{
	local expected=$1
	shift
	ticker=$pid
	migrate_args="--mode postcopy"
	MIGRATE_HELPER_STATE_DELAY_MS=$pause start_migration_until POSTCOPY
	migrate_args=
	fail="it was not handed over" && wait_for 60 in_state POSTCOPY || return 1
	"$@" || return 1
	fail="the source does not end" && wait_for 30 ended "$migrate" || return 1
	wait "$migrate"
	status=$?
	fail="the destination does not end" && wait_for 30 ended "$serve" || return 1
	wait "$serve"
	fail="exit status $status, of serve $?" && [ "$status" = "$expected" ]
}

lost_there() { fail="the destination does not name it" && grep '"event":"result"' $tmp/serve.json | grep -q "\"lost\": *\[{\"pid\": *$1,.*\"killed\": *$2"; }
lost_here() { fail="the source does not name it" && result | grep -q "\"lost\": *\[{\"pid\": *$1,.*\"killed\": *$2"; }
one_there() { fail="$(there limited) are there" && [ "$(there limited)" = 1 ]; }
no_root_there() { fail="the root is there" && [ "$(there sh)" = 0 ]; }
nothing_stays() { nothing_here && no_group; }

# A child whose memory is lost with it ends there too, and the others are whole.
run_lost_child()
{
	local victim
	start "limited serve 5001 8 & limited serve 5002 8 & wait"
	check "lost_child: they run" goes_on src 5001 5002
	victim=$(side_pids src limited | head -n 1)
	check "lost_child: both ends end" late 12 kill -9 "$victim"
	check "lost_child: the destination names it" lost_there "$victim" true
	check "lost_child: the source names it" lost_here "$victim" true
	check "lost_child: it ended there too" one_there
	check "lost_child: the other one goes on" goes_on dst 5002
	check "lost_child: nothing stays here" nothing_stays
	end
}

# The same with the root: its children are whole.
run_lost_root()
{
	start "limited serve 5001 8 & limited serve 5002 8 & wait"
	check "lost_root: they run" goes_on src 5001 5002
	check "lost_root: both ends end" late 12 kill -9 "$pid"
	check "lost_root: the source names it" lost_here "$pid" true
	check "lost_root: it ended there too" no_root_there
	check "lost_root: the children go on" goes_on dst 5001 5002
	check "lost_root: nothing stays here" nothing_stays
	end
}

# A program of one process is dead at both ends.
run_lost_alone()
{
	start "exec limited serve 5001 8"
	check "lost_alone: it runs" goes_on src 5001
	check "lost_alone: both ends end" late 8 kill -9 "$pid"
	check "lost_alone: the source names it" lost_here "$pid" true
	check "lost_alone: it says that nothing is left" refused "nothing of the program is left"
	check "lost_alone: nothing is left there" nothing_there
	check "lost_alone: nothing stays here" nothing_stays
	end
}

# Where the first page of a mapping of code that no file has is in the memory of this machine; $1: process
frail_at()
{
	python3 -c 'import sys
pid = sys.argv[1]
start = next(int(line.split("-")[0], 16) for line in open("/proc/%s/maps" % pid) if " rwxp " in line)
with open("/proc/%s/pagemap" % pid, "rb") as pagemap:
	pagemap.seek(start // 4096 * 8)
	print((int.from_bytes(pagemap.read(8), "little") & (1 << 55) - 1) * 4096)' "$1"
}

bad_page() { fail="no page can be made bad" && echo "$1" > /sys/devices/system/memory/hard_offline_page; }

buses() { in=(ip netns exec dst); asks 5002 && fail="no SIGBUS: $(cat $tmp/answer)" && [ "$(awk '{ print $7 }' $tmp/answer)" -gt 0 ]; }
poisons() { sort -CV <<< "6.6
$(uname -r)"; }

# A page goes bad here after COMMIT, in a guest, whose memory it is. A touch is SIGBUS there, which the process
# lives with; Linux before 6.6 cannot say that, and the process is killed.
run_lost_page()
{
	start "limited serve 5001 8 & exec limited serve 5002 8 bus 3"
	check "lost_page: they run" goes_on src 5001 5002
	check "lost_page: both ends end" late 12 bad_page "$(frail_at "$pid")"
	if poisons; then
		check "lost_page: the source names it" lost_here "$pid" false
		check "lost_page: both go on" goes_on dst 5001 5002
		check "lost_page: a touch is SIGBUS" buses
	else
		check "lost_page: the source names it" lost_here "$pid" true
		check "lost_page: the other one goes on" goes_on dst 5001
		check "lost_page: it ended there" one_there
	fi
	check "lost_page: nothing stays here" nothing_stays
	end
}

not_late() { ! move "$@" && [ $status = 5 ]; }
late_begins() { wait_for 30 in_state PRECOPY && touch $tmp/late && goes_on src 5007; }
not_frozen() { fail="it stood" && ! grep -q '"FREEZE"' $tmp/migrate.json; }

# A process that begins while pages are sent has a port that is taken there: that is said before the freeze.
run_late()
{
	rm -f $tmp/late
	in_dst limited serve 5007 8 > /dev/null 2>&1 &
	start "limited serve 5001 8 & until [ -e $tmp/late ]; do sleep 0.1; done; limited serve 5007 8 & wait"
	check "late: the first runs" goes_on src 5001
	late_begins &
	MIGRATE_HELPER_STATE_DELAY_MS=3000 MIGRATE_HELPER_STATE_DELAY_FROM=PRECOPY,RECEIVE check "late: refused" not_late
	check "late: the reason is told" refused "here another program has that port"
	check "late: the tree did not stand" not_frozen
	check "late: both go on here" goes_on src 5001 5007
	end
}

# links_there TARGET OWNER: where the log of the program is, the destination has a link in a directory of OWNER
links_there()
{
	rm -rf $tmp/there
	mkdir -p $tmp/here $tmp/there
	ln -s "$1" $tmp/there/app.log
	chown -h "$2" $tmp/there/app.log $tmp/there
	serve_by=(sh -c "mount --bind $tmp/there $tmp/here && exec \"\$0\" \"\$@\"")
}

not_linked() { ! move && [ $status = 5 ]; }
logs_to() { fail="its log is another" && [ "$(readlink "/proc/$(side_pids dst limited)/fd/1")" = "$1" ]; }

# The same link, put there when Setup has looked.
link_comes()
{
	wait_for 30 in_state IMAGES
	ln -sf $tmp/roots/app.log $tmp/there/app.log
	chown -h 4711 $tmp/there/app.log
}

# The restore opens files as root: a user of the destination does not choose them by a symbolic link.
run_links()
{
	mkdir -p $tmp/here $tmp/roots
	: > $tmp/here/app.log
	: > $tmp/roots/app.log
	start "exec limited serve 5001 8 >> $tmp/here/app.log"
	check "links: it runs" goes_on src 5001
	links_there $tmp/roots/app.log 4711
	check "links: a user's is refused" not_linked
	check "links: the reason is told" refused "$tmp/here/app.log is descriptor 1 .* symbolic link"
	check "links: it goes on here" goes_on src 5001
	check "links: nothing is there" nothing_there
	links_there $tmp/roots/app.log 4711
	rm $tmp/there/app.log
	: > $tmp/there/app.log
	link_comes &
	MIGRATE_HELPER_STATE_DELAY_MS=1500 MIGRATE_HELPER_STATE_DELAY_FROM=IMAGES,READY check "links: one that comes later is found" not_linked
	check "links: the reason is told" refused "has got $tmp/roots/app.log"
	check "links: it goes on here" goes_on src 5001
	check "links: nothing is there" nothing_there
	links_there $tmp/roots/app.log 0
	check "links: with root's it moves" move
	check "links: it goes on there" goes_on dst 5001
	check "links: and has the file of the link" logs_to $tmp/roots/app.log
	serve_by=()
	end
}
