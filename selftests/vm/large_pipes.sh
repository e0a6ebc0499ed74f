# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # cache, of lib.sh
# CRIU's lazy page server makes pipes of 4 MiB, and fails where it lacks CAP_SYS_RESOURCE and fs.pipe-max-size is less.
# That limit is the whole machine's: several tests may need it at a time, and any of them may be killed. So each that
# needs it holds a shared lock, and the last one puts back the value from before. When that one was killed, the next one
# finds the value in the file.

large_pipe_max=4194304
pipe_limit=${PIPE_LIMIT:-/proc/sys/fs/pipe-max-size}

# pipe_users COMMAND: no other one begins or ends meanwhile.
pipe_users()
{
	exec 7>> "$cache/lock.pipe-max-size"
	flock 7
	"$1"
	exec 7>&-
}

put_back()
{
	[ ! -s "$cache/pipe-max-size" ] || cat "$cache/pipe-max-size" > "$pipe_limit" || true
	: > "$cache/pipe-max-size"
}

first_begins()
{
	local now
	! flock -n -x 8 || put_back
	now=$(cat "$pipe_limit")
	if [ "$now" -lt $large_pipe_max ]; then
		echo "$now" > "$cache/pipe-max-size"
		echo $large_pipe_max > "$pipe_limit" || true
	fi
	flock -s 8
}

last_ends() { ! flock -n -x 8 || put_back; }

large_pipes_begin()
{
	mkdir -p "$cache"
	exec 8>> "$cache/lock.large-pipes"
	pipe_users first_begins
}

# Nothing when large_pipes_begin() was not called.
large_pipes_end()
{
	! { : >&8; } 2> /dev/null || { pipe_users last_ends; exec 8>&-; }
}
