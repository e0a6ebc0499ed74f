# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154 # for and from those who read this in; no blanks in paths
# The link between the two network namespaces of a migration is tun_relay. Needs handover.sh.

relay='' seed=${SEED:-$RANDOM}

# link_up OPTION...: of tun_relay
link_up()
{
	ip netns add dst
	ip -n dst link set lo up
	rm -f $tmp/link $tmp/link.out
	mkfifo $tmp/link
	tun_relay --seed $seed "$@" - dst $tmp/link > $tmp/link.out &
	relay=$!
	wait_for 10 grep -q '^link:' $tmp/link.out || return
	echo "# $(head -n 1 $tmp/link.out)"
	ip addr add 10.1.0.1/24 dev wan0
	ip addr add fd01::1/64 dev wan0 nodad
	ip addr add fe80::1/64 dev wan0 nodad
	ip -n dst addr add 10.1.0.2/24 dev wan0
	ip -n dst addr add fd01::2/64 dev wan0 nodad
	ip -n dst addr add fe80::2/64 dev wan0 nodad
}

link_down()
{
	echo stats > $tmp/link
	wait_for 5 grep -q '^back:' $tmp/link.out
	sed -n '2,$s/^/# /p' $tmp/link.out
	kill $relay
	wait $relay
	ip netns del dst
} 2> /dev/null
