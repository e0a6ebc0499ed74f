# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # for those who read this in
# For measurements of how long a program stands still when it is moved: the longest gap between two notes
# that it takes itself (e2e/heartbeat), whatever moved it. `die` says the name of the script.

heart=/dev/shm/heart
work=/run/frozen

die() { echo "${0##*/}: $*" >&2; exit 1; }

# Numbers of struct heart by index: 0 ticks, 2 max_gap_ns, 3 ready, 4 bad_pages.
heart_get() { od -An -tu8 -j$(($1 * 8)) -N8 $heart | tr -d ' '; }
heart_clear() { dd if=/dev/zero of=$heart bs=8 seek="$1" count=1 conv=notrunc status=none; }

wait_for() {
	local i
	for ((i = 0; i < 600; i++)); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}

heart_is_ready() { [ -s $heart ] && [ "$(heart_get 3)" = 1 ]; }
heart_beats() { [ "$(heart_get 0)" -gt "$ticks" ]; }

# start_heart MIB [ARGUMENT]...: sets pid
start_heart() {
	rm -f $heart
	setsid heartbeat $heart "$@" </dev/null >/dev/null 2>&1 &
	pid=$!
	disown
	sleep 0.2
	wait_for heart_is_ready || die "heartbeat does not start"
	sleep 0.5
	heart_clear 2
}

# By pid: the program moved has the same one in a namespace of its own.
stop_hearts() {
	pkill -9 -x heartbeat
	wait_for sh -c '! pgrep -x heartbeat >/dev/null'
	rm -rf $work
}

# Sets frozen, in ns.
our_move() {
	local port=7070
	# expectations by earlier moves end nothing here, and the file would grow
	rm -rf /var/lib/migrate-helper
	wait_for sh -c "! ss -Hltn | grep -q 127.0.0.1:$port"
	migrate-helper serve --listen 127.0.0.1:$port --insecure --once --json >/tmp/serve.json 2>/tmp/serve.err &
	wait_for sh -c "ss -Hltn | grep -q 127.0.0.1:$port" || die "serve does not listen"
	ticks=$(heart_get 0)
	migrate-helper migrate --pid "$pid" --to 127.0.0.1:$port --insecure --json \
		--shared-storage "${heart%/*}" >/tmp/migrate.json ||
		die "migrate failed: $(tail -3 /tmp/migrate.json)"
	wait_for heart_beats || die "the program does not run"
	sleep 0.5
	frozen=$(heart_get 2)
	[ "$(heart_get 4)" = 0 ] || die "wrong memory"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# The parts of the time frozen of our last move that took a millisecond or more.
our_split() {
	python3 - /tmp/migrate.json <<-'PY'
		import json, sys
		events = [json.loads(line) for line in open(sys.argv[1])]
		parts = [e for e in events if e["event"] == "result"][0]["frozen"]["parts"]
		print(*["%s %.0f" % (name[:-3], ns / 1e6) for name, ns in parts.items() if ns >= 1e6])
	PY
}
