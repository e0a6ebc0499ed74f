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

now_ns() { date +%s%N; }

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

# CRIU alone, lazily. Sets held: ns from the start of the dump until the pages can be asked for.
lazy_dump() {
	mkdir -p $work/img
	mkfifo $work/status
	local start
	start=$(now_ns)
	criu dump -t "$pid" -D $work/img -o dump.log --lazy-pages --address 127.0.0.1 \
		--port 27000 --status-fd 9 9>$work/status &
	dumper=$!
	read -r -N1 -t 60 _ <$work/status
	held=$(($(now_ns) - start))
	[ -f $work/img/pstree.img ] || die "criu dump failed: $(tail -3 $work/img/dump.log)"
}

# Sets frozen, in ns.
lazy_move() {
	lazy_dump
	ticks=$(heart_get 0)
	cp -r $work/img $work/dst
	criu lazy-pages -D $work/dst -o lazy.log --page-server --address 127.0.0.1 --port 27000 &
	until [ -S $work/dst/lazy-pages.socket ]; do :; done
	unshare -p -f -m --mount-proc sh -c "criu restore -D $work/dst -o restore.log \
		--lazy-pages -d && exec sleep 1000" &
	wait_for heart_beats || die "criu restore failed: $(tail -3 $work/dst/restore.log)"
	sleep 0.5
	frozen=$(heart_get 2)
	pkill -9 -x sleep
	wait $dumper
}

# CRIU alone, through images: the program is dumped, killed by that, and restored with its own pid. Sets frozen, in ns.
image_move() {
	mkdir -p $work/img
	ticks=$(heart_get 0)
	criu dump -t "$pid" -D $work/img -o dump.log ||
		die "criu dump failed: $(tail -n 3 $work/img/dump.log)"
	criu restore -d -D $work/img -o restore.log ||
		die "criu restore failed: $(tail -n 3 $work/img/restore.log)"
	wait_for heart_beats || die "the program does not run"
	sleep 0.5
	frozen=$(heart_get 2)
}

# Sets frozen, and total: from the start of migrate to its end; in ns.
our_move() {
	local port=7070 start
	# expectations by earlier moves end nothing here, and the file would grow
	rm -rf /var/lib/migrate-helper
	wait_for sh -c "! ss -Hltn | grep -q 127.0.0.1:$port"
	migrate-helper serve --listen 127.0.0.1:$port --insecure --once --json >/tmp/serve.json 2>/tmp/serve.err &
	wait_for sh -c "ss -Hltn | grep -q 127.0.0.1:$port" || die "serve does not listen"
	ticks=$(heart_get 0)
	start=$(now_ns)
	migrate-helper migrate --pid "$pid" --to 127.0.0.1:$port --insecure --json \
		--shared-storage "${heart%/*}" >/tmp/migrate.json ||
		die "migrate failed: $(tail -3 /tmp/migrate.json)"
	total=$(($(now_ns) - start))
	wait_for heart_beats || die "the program does not run"
	sleep 0.5
	frozen=$(heart_get 2)
	[ "$(heart_get 4)" = 0 ] || die "wrong memory"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# CRIU's part of the time frozen of our last move, in ns.
our_criu() { grep '"event": *"result"' /tmp/migrate.json | sed 's/.*"criu_ns": *\([0-9]*\).*/\1/'; }

# least median most, in ms
spread() { sort -n | awk '{ v[NR] = $1 / 1e6 } END { printf "%.0f %.0f %.0f", v[1], v[int((NR + 1) / 2)], v[NR] }'; }

# The parts of the time frozen of our last move that took a millisecond or more.
our_split() {
	python3 - /tmp/migrate.json <<-'PY'
		import json, sys
		events = [json.loads(line) for line in open(sys.argv[1])]
		parts = [e for e in events if e["event"] == "result"][0]["frozen"]["parts"]
		print(*["%s %.0f" % (name[:-3], ns / 1e6) for name, ns in parts.items() if ns >= 1e6])
	PY
}
