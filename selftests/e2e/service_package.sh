# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2015,SC2016,SC2034,SC2086,SC2154 # a && b || fail; words; of cases.sh and service
# serve comes from a Debian package, which is upgraded and removed while a program that moves lacks memory. Both ends of the
# migration run what is in the package. Sourced by service.

# package_in NAME: that package is the only one, and no unit hides its units
package_in()
{
	rm -f $units/migrate-helper.service $units/migrate-helper.socket
	mkdir -p $units/migrate-helper.service.d
	printf '[Service]\nStandardOutput=append:%s\n' $tmp/serve.log \
		> $units/migrate-helper.service.d/test.conf
	there dpkg -i "$packages/$1.deb" > $tmp/dpkg.log 2>&1 && there systemctl daemon-reload
}

version_of() { dpkg-deb -f "$packages/$1.deb" Version; }
version_there() { there dpkg-query -W -f '${Version}' migrate-helper; }
# What serve runs is the file that the package brought.
runs_new()
{
	[ "$(there readlink "/proc/$(there systemctl show -p MainPID --value migrate-helper.service)/exe")" = /usr/bin/migrate-helper ]
}

# lacks_memory PACKAGE: a program arrived by what is in that package. It stands, so that it fetches nothing, and its
# memory takes a minute: dpkg is done before.
lacks_memory()
{
	package_in "$1" || { fail="no package"; return 1; }
	program && PATH=/usr/bin:$PATH limit="--compress off --bandwidth 1MiB/s" move && wait_for 60 in_state POSTCOPY &&
		there pkill -STOP -x page_writer || { fail="no post-copy"; return 1; }
}

# then_moved: memory still comes, and the program has it all when it goes on
then_moved()
{
	kill -0 "$migrate" 2> /dev/null || { fail="it was over before"; return 1; }
	there pkill -CONT -x page_writer && moved
}

upgraded()
{
	lacks_memory first || return 1
	there dpkg -i "$packages/second.deb" > $tmp/dpkg.log 2>&1 || { fail="dpkg -i failed"; return 1; }
	[ "$(version_there)" = "$(version_of second)" ] || { fail="version $(version_there)"; return 1; }
	runs_new || { fail="the old serve runs"; return 1; }
	then_moved || return 1
	pkill -KILL -x page_writer
	wait_for 10 no_scope || { fail="the scope stays"; return 1; }
	program && PATH=/usr/bin:$PATH move && moved
}

removed()
{
	lacks_memory first || return 1
	there dpkg -r migrate-helper > $tmp/dpkg.log 2>&1 || { fail="dpkg -r failed"; return 1; }
	[ ! -e /usr/bin/migrate-helper ] || { fail="it is there"; return 1; }
	is_away migrate-helper.service && is_away migrate-helper.socket || { fail="serve goes on"; return 1; }
	then_moved
}

# A control: a package whose migrations stay in the service's group, which a restart ends.
upgraded_staying()
{
	local now
	lacks_memory staying || return 1
	there dpkg -i "$packages/staying2.deb" > $tmp/dpkg.log 2>&1 || { fail="dpkg -i failed"; return 1; }
	wait_for 5 no_copy || { fail="the program is there"; return 1; }
	now=$(passes)
	! wait "$migrate" || { fail="it moved"; return 1; }
	[ "$(passes)" = "$now" ] || { fail="the program runs"; return 1; }
}

# package_cases FOLDER
package_cases()
{
	packages=$1
	check "the package is upgraded while memory comes; the next program arrives by the new one" upgraded
	check "the package is removed while memory comes" removed
	check "a control: an upgrade ends what stays in the service's group" upgraded_staying
	there dpkg -P migrate-helper > $tmp/dpkg.log 2>&1
	unit_of /build/helper/migrate-helper
	cp /build/helper/migrate-helper.socket $units/
	there systemctl daemon-reload
}
