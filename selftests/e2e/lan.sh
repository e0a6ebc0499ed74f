# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Source, destination and a peer are three network namespaces on one bridge; the migration itself goes over a
# link of its own. The program has the addresses $v4 and $v6, which move with it. Needs handover.sh.

v4=10.2.0.5 v6=fd02::5

lan_up() {
	local side
	! ip netns list | grep -q "^lan" || return 0
	net_up
	ip netns add peer
	ip netns add lan
	ip -n lan link add br0 type bridge forward_delay 0
	ip -n lan link set br0 up
	for side in src dst peer; do
		ip link add e$side type veth peer name b$side
		ip link set b$side netns lan
		ip -n lan link set b$side master br0 up
		[ $side = src ] || ip link set e$side netns $side
	done
	ip -n dst addr add 10.2.0.2/24 dev edst
	ip -n dst addr add fd02::2/64 dev edst nodad
	ip -n dst link set edst up
	ip -n peer addr add 10.2.0.3/24 dev epeer
	ip -n peer addr add fd02::3/64 dev epeer nodad
	ip -n peer link set epeer up
	ip -n peer link set lo up
	ip addr add 10.2.0.1/24 dev esrc
	ip addr add fd02::1/64 dev esrc nodad
	ip link set esrc up
	ip link set lo up
	# So that the peer does not learn by a question of the destination's where the addresses are.
	know_peer dst edst
}

# know_peer NAMESPACE DEVICE: it need not ask for the peer.
know_peer() {
	local mac
	mac=$(ip -n peer -br link show epeer | awk '{ print $3 }')
	ip -n "$1" neigh replace 10.2.0.3 lladdr "$mac" dev "$2" nud permanent
	ip -n "$1" neigh replace fd02::3 lladdr "$mac" dev "$2" nud permanent
}

# The addresses of the program are at the source again, and nowhere else.
give_addresses() {
	ip -n dst addr del $v4/32 dev edst 2>/dev/null
	ip -n dst addr del $v6/128 dev edst 2>/dev/null
	ip addr replace $v4/32 dev esrc
	ip -6 addr replace $v6/128 dev esrc nodad
	ip -n peer neigh flush dev epeer
}
