# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # for those who read this in
# Functions for tests of the hand-over in one guest: a program with a client moves from this network
# namespace to another.

src=10.1.0.1 dst=10.1.0.2
port=7070
tmp=/tmp/handover
tests=0 failed=0
migrate_args=${MIGRATE_ARGS:-} serve_args=
# How the ends prove who they are: of both ends; of one, in its place; and another address than serve's own.
seal=${SEAL:---insecure} serve_seal='' migrate_seal='' to=''
# How long a state lasts at least, so that there is time to strike in it; more when much runs at a time.
state_delay=${STATE_DELAY_MS:-700}
export MIGRATE_HELPER_STATE_DELAY_MS=$state_delay

mkdir -p $tmp

ok() { tests=$((tests + 1)); echo "ok $tests - $1"; }
not_ok() {
	tests=$((tests + 1)) failed=$((failed + 1))
	echo "not ok $tests - $1: $2"
	tail -n 4 $tmp/migrate.json $tmp/migrate.err $tmp/serve.json $tmp/serve.err 2> /dev/null | sed 's/^/# /'
}

# chosen [all | some | part I N]: of the rows on standard input all, those with a + at their end, or
# each Nth one.
chosen() {
	case ${1:-all} in
	all) cat ;;
	some) grep '+$' ;;
	part) awk -v i="$2" -v n="$3" 'NR % n == i' ;;
	esac
}

wait_for() {
	local i limit=$1
	shift
	for ((i = 0; i < limit * 20; i++)); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

net_up() {
	! ip netns list | grep -q "^dst" || return 0
	ip netns add dst
	ip link add vsrc type veth peer name vdst
	ip link set vdst netns dst
	ip addr add $src/24 dev vsrc
	ip link set vsrc up
	ip -n dst addr add $dst/24 dev vdst
	ip -n dst link set vdst up
	ip -n dst link set lo up
}

in_dst() { ip netns exec dst "$@"; }

# Processes with name $2 in the namespace of side $1.
side_pids() {
	local pid want
	want=$(readlink /proc/self/ns/net)
	for pid in $(pgrep -x "$2"); do
		if [ "$(readlink "/proc/$pid/ns/net")" = "$want" ]; then
			[ "$1" = src ] && echo "$pid"
		else
			[ "$1" = dst ] && echo "$pid"
		fi
	done
}

# What a migration might leave: processes, cgroups, mounts, files, rules, sockets.
world() {
	local pid
	echo "processes:"
	for pid in $(pgrep -x 'criu|migrate-.*|ticker'); do
		[ "$pid" = "${ticker:-}" ] || [ "$pid" = "${asker:-}" ] ||
			tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null
	done
	echo "cgroups:"
	find /sys/fs/cgroup -type d | sort
	cat "/proc/$ticker/cgroup"
	echo "mounts:"
	sort /proc/mounts
	in_dst sort /proc/mounts
	echo "files:"
	# The source keeps the log of a CRIU that failed, and says where.
	find /run/migrate-helper /dev/shm -mindepth 1 2>/dev/null | grep -v -- -source
	echo "rules:"
	iptables-save 2>/dev/null | grep -v '^#'
	in_dst iptables-save 2>/dev/null | grep -v '^#'
	echo "sockets:"
	in_dst ss -Hltnx
}

answers() { od -An -tu8 -N8 $tmp/answers | tr -d ' '; }
wrong_pages() { od -An -tu8 -j8 -N8 $tmp/answers | tr -d ' '; }
more_answers() { [ "$(answers)" -gt "$1" ] && served_ns=$(date +%s%N); }

# start_program [WORD...]: what ticker is to do
start_program() {
	[ $# != 0 ] || set -- serve 5000 32
	# shellcheck disable=SC2086 # words
	setsid ${as-} ticker "$@" </dev/null >/dev/null 2>&1 &
	ticker=$!
	wait_for 10 sh -c "ss -Hltn | grep -q :5000"
	ticker ask $src 5000 $tmp/answers 2>$tmp/ask.err &
	asker=$!
	wait_for 10 test -s $tmp/answers
}

stop_program() {
	kill -9 "$ticker" "$asker" 2>/dev/null
	wait "$ticker" "$asker" 2>/dev/null
	rm -f $tmp/answers
}

# delay_from STATE: states are longer from this one on, at the end that does not have it from the one that
# this end is in meanwhile, or comes to next; with an empty STATE all are.
delay_from() {
	case $1 in
	PRECOPY) from=PRECOPY,RECEIVE ;;
	FREEZE) from=FREEZE,RESTORE ;;
	IMAGES) from=IMAGES,RESTORE ;;
	RESTORE) from=COMMIT,RESTORE ;;
	READY) from=COMMIT,READY ;;
	COMMIT) from=COMMIT,COMMITTED ;;
	RECORDED) from=RECORDED,COMMITTED ;;
	COMMITTED | FAULTS | POSTCOPY) from=SENT,COMMITTED ;;
	*) from= ;;
	esac
	if [ "$from" ]; then
		export MIGRATE_HELPER_STATE_DELAY_FROM=$from
	else
		unset MIGRATE_HELPER_STATE_DELAY_FROM
	fi
}

start_migration() {
	# States of the run before would be taken for this one's.
	rm -f $tmp/migrate.json $tmp/serve.json
	# shellcheck disable=SC2086 # words
	ip netns exec dst migrate-helper serve --listen $dst:$port ${serve_seal:-$seal} --once --json $serve_args \
		>$tmp/serve.json 2>$tmp/serve.err &
	serve=$!
	wait_for 10 sh -c "ip netns exec dst ss -Hltn | grep -q :$port"
	# shellcheck disable=SC2086 # words
	migrate-helper migrate --pid "$ticker" --to ${to:-$dst:$port} ${migrate_seal:-$seal} --json $migrate_args \
		>$tmp/migrate.json 2>$tmp/migrate.err &
	migrate=$!
}

# start_migration_until STATE: in which something will be broken; those before it take no time of their own.
start_migration_until() {
	delay_from "$1"
	start_migration
	delay_from ""
}

in_state() { grep -hqs "\"state\": *\"$1\"" $tmp/migrate.json $tmp/serve.json; }

victim_pids() {
	case $1 in
	source-helper) echo "$migrate" ;;
	source-keeper) side_pids src migrate-keeper ;;
	source-both) echo "$migrate" "$(side_pids src migrate-keeper)" ;;
	source-criu) side_pids src criu ;;
	# Not the process that accepts: it takes no part in the migration.
	dest-helper) pgrep -x migrate-helper -P "$serve" ;;
	dest-keeper) side_pids dst migrate-keeper ;;
	dest-init) side_pids dst migrate-init ;;
	program) side_pids dst ticker ;;
	esac
}

# strike VICTIM [SIGNAL]
strike() {
	local pids
	if [ "$1" = link ]; then
		ip link set vsrc down
		return
	fi
	pids=$(victim_pids "$1")
	[ -n "$pids" ] || return 1
	# shellcheck disable=SC2086
	kill "-${2:-KILL}" $pids
}

ended() { ! kill -0 "$1" 2>/dev/null; }

# Both ends have ended by themselves, or were the victim.
ends_end() {
	wait_for 30 ended "$migrate" || { hung=migrate; return 1; }
	# One whose Setup was not accepted is not the one that serve --once waits for.
	if ! grep -q '"state": *"RECEIVE"' $tmp/serve.json; then
		wait_for 30 grep -qE '"event": *"(result|helper-killed)"' $tmp/serve.json
		kill -TERM "$serve" 2>/dev/null
	fi
	wait_for 30 ended "$serve" || { hung=serve; return 1; }
	wait "$migrate"
	migrate_status=$?
	wait "$serve"
	serve_status=$?
	return 0
}

is_clean() { world >$tmp/after; cmp -s $tmp/before $tmp/after; }
