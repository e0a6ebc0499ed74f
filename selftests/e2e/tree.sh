# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154 # for those who read this in
# Functions for tests of trees: one is started, moved, and looked at. After handover.sh.

MIGRATE_HELPER_STATE_DELAY_MS=0
# Where a process shall die; more when much runs at a time.
pause=${STATE_DELAY_MS:-1000}
mkdir -p $tmp

# start COMMAND: a shell that runs it; $pid is the root
start()
{
	setsid sh -c "$1" < /dev/null > /dev/null 2>&1 &
	pid=$!
}

# goes_on SIDE PORT...: each process that listens there counts, and has not found a wrong page
goes_on()
{
	local in=() before at
	[ "$1" = dst ] && in=(ip netns exec dst)
	shift
	for at; do
		fail="nobody answers on port $at"
		wait_for 10 asks "$at" || return 1
		before=$passes
		sleep 0.2
		asks "$at" || return 1
		fail="port $at: $wrong wrong pages"
		[ "$wrong" = 0 ] || return 1
		fail="port $at does not go on"
		[ "$passes" -gt "$before" ] || return 1
	done
}

asks()
{
	"${in[@]}" limited ask 127.0.0.1 "$1" > $tmp/answer 2> /dev/null && read -r passes wrong _ < $tmp/answer
}

# serve_by: a command that runs it
serve_by=()

move_begin()
{
	rm -f $tmp/migrate.json $tmp/serve.json
	# shellcheck disable=SC2154,SC2086 # of handover.sh; words
	ip netns exec dst "${serve_by[@]}" migrate-helper serve --listen $dst:$port --insecure --once --json $serve_args \
		> $tmp/serve.json 2> $tmp/serve.err &
	serve=$!
	wait_for 10 sh -c "ip netns exec dst ss -Hltn | grep -q :$port"
}

# move OPTION...: status is that of migrate. verify: empty: nothing is compared, and what is not there when the
# program starts comes while it runs
move()
{
	local compare=${verify---verify}
	move_begin
	timeout 100 migrate-helper migrate --pid "$pid" --to $dst:$port --insecure --json ${compare:+--verify} ${TRACKER:+--tracker "$TRACKER"} ${MODE:+--mode "$MODE"} "$@" \
		> $tmp/migrate.json 2> $tmp/migrate.err
	status=$?
	[ $status = 0 ] || kill -TERM "$serve" 2> /dev/null
	wait_for 20 ended "$serve"
	fail="exit status $status"
	return $status
}

ended() { ! kill -0 "$1" 2> /dev/null; }
nothing_here() { fail="it is still here" && [ -z "$(side_pids src limited)$(side_pids src sh)" ]; }
there() { side_pids dst "$1" | wc -l; }
result() { grep '"event":"result"' $tmp/migrate.json; }
verified() { fail="not verified: $(result)" && result | grep -q '"verified_pages":[1-9]'; }
nothing_there() { fail="it is there" && [ -z "$(side_pids dst limited)$(side_pids dst sh)" ]; }
refused() { fail="the reason is not told" && grep -q -e "$1" $tmp/migrate.json; }

check()
{
	fail=
	if "${@:2}"; then ok "$1"; else not_ok "$1" "$fail"; fi
}

end()
{
	kill -9 "$pid" 2> /dev/null
	pkill -9 -x 'limited|family'
	pkill -9 -x shared
	kill -9 "$serve" 2> /dev/null
	pkill -9 -x migrate-init
	wait_for 10 sh -c '! pgrep -x "limited|family" && ! pgrep -x shared && ! pgrep -x migrate-init' > /dev/null
}
