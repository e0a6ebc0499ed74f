# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2016,SC2034,SC2048,SC2086,SC2119,SC2120,SC2154,SC2209,SC2317 # for those who read this in; words; text for another shell; functions given to check
# Functions for tests of streamed images: a program, image-proxy, image-cache, dumps and restores. The caller sets $tmp.

# shellcheck source=cases.sh
. "$here/cases.sh"

# Whatever a case left.
after_case()
{
	local task
	for task in $(jobs -p) ${tasks:-}; do
		kill -9 "$task" 2> /dev/null
	done
	wait 2> /dev/null
	tasks=''
	rm -rf ${tmp:?}/*
}

# start DIR MIB [SHARED]: the program; $pid is the parent, $tasks both
start()
{
	mkdir -p "$1"
	setsid page_tree "$@" < /dev/null > /dev/null 2>&1 &
	pid=$!
	disown
	wait_for 20 both_ready "$1" && tasks="$pid $(pgrep -P $pid)"
}

both_ready() { [ "$(find "$1" -name '*.ready' | wc -l)" = 2 ]; }

# digests DIR [SIGNAL]: of the memory of all $tasks, in one text; with USR2 each has written to an eighth of it before
digests()
{
	local task
	for task in $tasks; do
		rm -f "$1/$task.digest"
		kill -"${2:-USR1}" "$task" && wait_for 20 test -s "$1/$task.digest" || return 1
		cat "$1/$task.digest"
	done
}

# cache OPTION...: for $tmp/there; it is $cache
cache()
{
	mkdir -p $tmp/there
	migrate-helper image-cache --images-dir tree=$tmp/there --listen ${where:-unix:$tmp/link/sock} --json "$@" \
		> $tmp/cache.json 2>&1 &
	cache=$!
	wait_for 10 said cache listening
}

# proxy OPTION...: for $tmp/here; it is $proxy
proxy()
{
	mkdir -p $tmp/here
	migrate-helper image-proxy --images-dir tree=$tmp/here --to ${relayed:-${where:-unix:$tmp/link/sock}} --json "$@" \
		> $tmp/proxy.json 2>&1 &
	proxy=$!
	wait_for 10 said proxy listening
}

# dump NAME PID OPTION...
dump()
{
	local name=$1 root=$2
	shift 2
	criu dump --stream --tree "$root" --images-dir $tmp/"$name" -o dump.log --action-script migrate-helper \
		"$@" > $tmp/criu.log 2>&1
}

restore() { criu restore --stream --images-dir $tmp/"$1" --restore-detached -o restore.log > $tmp/criu.log 2>&1; }

# restored PID: the restore that waited. On one machine the program's pid may still be a zombie's then: once more.
restored()
{
	wait "$1" || { grep -q 'File exists' $tmp/there/restore.log && wait_for 5 gone && restore there; }
}

gone() { ! kill -0 $pid 2> /dev/null; }
said() { grep -qs "\"event\":\"$2\"" $tmp/"$1".json; }
number() { grep "\"event\":\"$2\"" $tmp/"$1".json | tail -n 1 | grep -o "\"$3\":[0-9]*" | cut -d: -f2; }
images() { find $tmp -name '*.img' ! -name 'stats-*'; }

# same BEFORE DIR: the restored program has the memory that it had
same()
{
	local now
	now=$(digests "$2")
	fail="memory differs: $1 $now" && [ "$now" ] && [ "$1" = "$now" ]
}

# Without the action script criu does not wait, and ends at once.
unasked()
{
	local before
	proxy_options=--once set_up || return 1
	fail="criu dump fails" && criu dump --stream --tree $pid --images-dir $tmp/here -o dump.log > $tmp/criu.log 2>&1 &&
		wait_for 5 gone && fail="the proxy's exit status" && wait $proxy &&
		fail="not told" && grep -q 'without the action script' $tmp/proxy.json &&
		fail="criu restore fails" && restore there && same "$before" $tmp/tree
}

# A dump of both processes, and its restore.
dump_and_restore()
{
	local before
	fail="the program does not start" && start $tmp/tree 64 64 && before=$(digests $tmp/tree) || return 1
	fail="the cache does not start" && cache --once || return 1
	fail="the proxy does not start" && proxy --once || return 1
	fail="modes" && [ "$(stat -c %a $tmp/here/*.sock $tmp/there/*.sock $tmp/link/sock | sort -u)" = 600 ] || return 1
	fail="criu dump fails" && dump here $pid && fail="the program is here" && wait_for 5 gone || return 1
	fail="the proxy's exit status" && wait $proxy || return 1
	fail="the dump was not confirmed" && grep -q '"confirmed":true' $tmp/proxy.json || return 1
	fail="criu restore fails" && restore there && same "$before" $tmp/tree || return 1
	fail="the cache's exit status" && wait $cache || return 1
	fail="images on the disk: $(images)" && [ -z "$(images)" ] &&
		fail="sockets are left" && [ -z "$(find $tmp -type s)" ]
}


# unharmed BEFORE: after a dump that failed the program is here, unharmed
unharmed()
{
	fail="the program is gone, or has changed" && [ "$1" = "$(digests $tmp/tree)" ]
}

# relay: a link of its own process, which can break alone; it is $relay
relay()
{
	python3 - $tmp/link <<- 'EOF' &
		import socket, sys, threading
		def pump(source, sink):
		    while data := source.recv(1 << 16):
		        sink.sendall(data)
		server = socket.socket(socket.AF_UNIX)
		server.bind(sys.argv[1] + "/relay")
		server.listen()
		here = server.accept()[0]
		there = socket.socket(socket.AF_UNIX)
		there.connect(sys.argv[1] + "/sock")
		threading.Thread(target=pump, args=(there, here), daemon=True).start()
		pump(here, there)
	EOF
	relay=$!
	relayed=unix:$tmp/link/relay
	wait_for 10 test -S $tmp/link/relay
}

# The program and both servers; $before is its digest
set_up()
{
	fail="the program does not start" && start $tmp/tree "${mib:-48}" 64 && before=$(digests $tmp/tree) || return 1
	fail="the cache does not start" && cache ${cache_options:-} || return 1
	[ ! "${by_relay:-}" ] || relay
	fail="the proxy does not start" && proxy ${proxy_options:-}
}
