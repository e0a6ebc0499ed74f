# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154 # for and from those who read this in; no blanks in paths
# Functions for tests of the trackers: moves with options, and deaths while the control group of the
# program is frozen. Needs handover.sh.

# check NAME COMMAND...: one case; $fail says what went wrong.
check()
{
	local name=$1
	fail=
	shift
	if "$@"; then ok "$name"; else not_ok "$name" "$fail"; fi
}

not() { ! "$@"; }
result() { grep -qE "\"event\":\"result\".*$1" $tmp/migrate.json; }

# moves STATUS-OF-MIGRATE ARGUMENT...: one, or some with spaces between them; program: for start_program
program=
moves()
{
	local want=$1 look=$tmp/look
	shift
	start_program $program
	migrate_args="$* --max-frozen 120"
	start_migration
	wait_for 120 ended "$migrate"
	wait "$migrate"
	migrate_status=$?
	rm -f $look
	if [ "$want" = 0 ]; then
		wait_for 30 ended "$serve"
		in_dst timeout 5 ticker ask $dst 5000 $look 2> /dev/null
	else
		kill -TERM "$serve"
		wait_for 30 more_answers $(($(answers) + 5)) || fail="it does not go on"
	fi
	[[ " $want " = *" $migrate_status "* ]] || fail="exit status $migrate_status"
	[ "$want" != 0 ] || [ "$(od -An -tu8 -j8 -N8 $look | tr -d ' ')" = 0 ] || fail="wrong memory, or none"
	pkill -9 -x migrate-init
	stop_program
	[ -z "$fail" ]
}

# number KEY: of the result
number() { grep '"event":"result"' $tmp/migrate.json | grep -o "\"$1\":[0-9]*" | cut -d: -f2; }

held_mib=48 held_slack=1500
# once ARGUMENT...: a program whose memory CRIU does not restore lazily moves, and none of its pages goes
# twice: in frames, or in CRIU's images.
once()
{
	local pages=$((held_mib * 256)) images
	program="hold 5000 $held_mib $tmp/held"
	moves 0 --shared-storage /tmp "$@"
	program=
	[ -z "$fail" ] || return
	images=$(($(number image_bytes) / 4096))
	echo "# $pages pages: $(number sent_pages) in frames, $images in images"
	fail="pages went twice, or not at all" &&
		[ $(($(number sent_pages) + images)) -lt $((pages + held_slack)) ] &&
		[ $(($(number sent_pages) + images)) -ge "$pages" ]
}

group_of() { find /sys/fs/cgroup -maxdepth 4 -name 'migrate-helper-*[0-9a-f]' ! -name '*-criu' ! -name '*-dest'; }
stands() { grep -q "^frozen 1" "$(group_of | head -n 1)/cgroup.events" 2> /dev/null; }

# The helper is stopped in a moment in which the program is frozen by its control group.
catch_it()
{
	local i
	for ((i = 0; i < 3000; i++)); do
		kill -STOP "$migrate" || return
		stands && return 0
		kill -CONT "$migrate"
	done
	return 1
}

# dies OUTCOME VICTIM...: while the program is frozen; dies_args: for migrate
dies()
{
	local outcome=$1 before victim status
	shift
	start_program
	world > $tmp/before
	migrate_args="--max-rounds 1000 --max-downtime 1 --force-downtime ${dies_args:-}"
	start_migration
	fail="no round" && wait_for 60 grep -q '"event":"round"' $tmp/migrate.json &&
		fail="it was never seen frozen" && catch_it && before=$(($(answers) + 5)) &&
		for victim; do
			[ "$victim" = none ] || strike "$victim"
		done &&
		fail="$outcome" && "$outcome" &&
		fail="the client is not served" && wait_for 60 more_answers "$before" &&
		fail="wrong memory" && [ "$(wrong_pages)" = 0 ] &&
		fail="something is left" && { kill -CONT "$migrate" 2> /dev/null; wait_for 60 ended "$migrate"; } &&
		{ kill -TERM "$serve" 2> /dev/null; wait_for 60 is_clean; }
	status=$?
	[ $status = 0 ] || [ "$fail" != "something is left" ] || diff $tmp/before $tmp/after | sed 's/^/# /'
	kill -9 "$migrate" "$serve" 2> /dev/null
	stop_program
	return $status
}

goes_on() { true; }
# The keeper is dead, and the helper goes on with its work: the end of the round finds it out.
helper_finds_out() { kill -CONT "$migrate"; }
is_released()
{
	wait_for 20 sh -c "migrate-helper status | grep -q 'process $ticker stands here'" &&
		migrate-helper release --pid "$ticker" 2> $tmp/release
}
