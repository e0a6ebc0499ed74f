# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2046,SC2086,SC2119,SC2120,SC2154,SC2317 # for those who read this in
# Functions for tests of lazy restores: a program is dumped by CRIU, restored, and looked at. The caller sets $tmp and $port.

# shellcheck source=cases.sh
. "$here/cases.sh"

copies="" programs="" helpers=""

# What a case leaves: copies, programs, helpers.
after_case()
{
	local one
	for one in $helpers $copies $programs; do
		kill -9 "$one" 2> /dev/null
	done
	# CRIU that still holds what it dumps
	for one in $(jobs -p); do
		kill -9 "$one" 2> /dev/null
	done
	wait 2> /dev/null
	copies="" programs="" helpers=""
	rm -rf "${tmp:?}"/*
}

# start COMMAND...: a program of its own session; it is $pid
start()
{
	setsid "$@" < /dev/null > /dev/null 2>&1 &
	pid=$!
	disown
	programs+=" $pid"
}

# start_acts MIB ACT...: lazy_acts, whose files are in $tmp/acts
start_acts()
{
	mkdir -p $tmp/acts
	start lazy_acts $tmp/acts "$@"
	wait_for 20 test -e $tmp/acts/ready
}

# dump OPTION...: of $pid, lazy; it is $dump
dump()
{
	mkdir -p $tmp/img
	rm -f $tmp/status.dump
	criu dump --tree "$pid" --images-dir $tmp/img --lazy-pages -o dump.log --status-fd 7 "$@" \
		7> $tmp/status.dump > $tmp/criu.log 2>&1 &
	dump=$!
	wait_for 20 test -s $tmp/status.dump
}

# serve OPTION...: ours, for $tmp/img; it is $helper
serve()
{
	rm -f $tmp/lazy.json $tmp/status.lazy
	migrate-helper lazy-pages --images-dir $tmp/img --json --status-fd 7 "$@" 7> $tmp/status.lazy \
		> $tmp/lazy.json 2>&1 &
	helper=$!
	helpers+=" $helper"
	wait_for 10 test -s $tmp/status.lazy
}

# copy NAME [DIR]: restore the images in a pid namespace of its own, in which $tmp/NAME is at DIR; it is $copy
copy()
{
	local at=${2:-$tmp/acts}
	mkdir -p "$tmp/$1" "$at"
	unshare --pid --fork --kill-child --mount-proc sh -c "mount --bind $tmp/$1 $at
		criu restore --images-dir $tmp/img --lazy-pages --restore-detached -o restore.$1.log
		echo \$? > $tmp/$1.status
		exec sleep 1000" > $tmp/criu.log 2>&1 &
	copy=$!
	copies+=" $copy"
	wait_for 20 test -s "$tmp/$1.status" && [ "$(cat "$tmp/$1.status")" = 0 ]
}

end_copy() { kill -9 "$1"; wait "$1" 2> /dev/null; }

said() { grep -q "\"event\":\"$1\"" $tmp/lazy.json; }

number() { grep "\"event\":\"$1\"" $tmp/lazy.json | tail -n 1 | grep -o "\"$2\":[0-9]*" | cut -d: -f2; }

# acted NAME: the copy has ended its acts, and its memory was right
acted()
{
	fail="no result"
	wait_for 30 test -s "$tmp/$1/result" || return 1
	[ "$(cat "$tmp/$1/result")" = ok ] && return 0
	fail=$(cat "$tmp/$1/wrong")
	return 1
}

# ended STATUS_OF_HELPER STATUS_OF_DUMP
ended()
{
	local status
	wait $helper
	status=$?
	fail="exit status $status of lazy-pages" && [ $status = "$1" ] || return 1
	wait $dump
	status=$?
	fail="exit status $status of criu dump" && [ $status = "$2" ]
}

# runs PID: it is there, and neither stopped nor a zombie
runs() { [[ "$(awk '/^State/ { print $2 }' "/proc/$1/status" 2> /dev/null)" == [RS] ]] && ! grep -q '^TracerPid:.[1-9]' "/proc/$1/status"; }

# digest DIR PID: of the memory of a process of page_tree, whose number in the copy is the same
digest()
{
	kill -USR1 "$2" && wait_for 20 test -s "$1" && cat "$1"
}

both_ready() { [ "$(find $tmp/tree -name '*.ready' | wc -l)" = 2 ]; }

# pid_in COPY PID: the process whose pid in the namespace of the copy is PID
pid_in()
{
	local one
	for one in $(pgrep page_tree); do
		[ "$(awk '/^NSpid/ { print $NF }' /proc/"$one"/status)" = "$2" ] &&
			[ "$(awk '/^NSpid/ { print NF }' /proc/"$one"/status)" -gt 2 ] && echo "$one"
	done
}

# from_dump MIB ACT...: a program that acts at once, from a dump at $port
from_dump()
{
	fail="the program does not start" && start_acts "$@" &&
		fail="criu dump fails" && dump --address 127.0.0.1 --port $port || return 1
	mkdir -p $tmp/copy && touch $tmp/copy/go
}

# A relay listens for the dump's socket at once, and goes on to the helper when that listens.
# criu_by_socket [OPTION]...
criu_by_socket()
{
	lazy_proxy.py --relay $((port + 2)) $nc_listen > $tmp/relay.log 2>&1 &
	wait_for 10 grep -qs ready $tmp/relay.log
	exec 8<> /dev/tcp/127.0.0.1/$((port + 2))
	criu dump --tree "$pid" --images-dir $tmp/img --lazy-pages -o dump.log --ps-socket 8 --status-fd 7 "$@" \
		7> $tmp/status.dump > $tmp/criu.log 2>&1
}

# tls [AUTHORITY]: the options of the end that trusts it
tls() { echo --tls --tls-cacert $tmp/certs/"${1:-ca}".pem --tls-cert $tmp/certs/cert.pem --tls-key $tmp/certs/key.pem; }

certs() { mkdir -p $tmp/certs && make_certs $tmp/certs; }

from_dump_tls()
{
	fail="the program does not start" && start_acts "$@" &&
		fail="criu dump fails" && dump --address 127.0.0.1 --port $port $(tls) || return 1
	mkdir -p $tmp/copy && touch $tmp/copy/go
}
