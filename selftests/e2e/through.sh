# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2016,SC2154,SC2034,SC2086,SC2317 # text for another shell; variables of programs and handover.sh
# An unmodified CRIU dumps a program here and restores it in the other network namespace, with migrate-helper in place
# of one of CRIU's daemons; with $theirs the daemon is CRIU's own. Needs handover.sh. through_WAY moves $ticker; what the
# program does afterwards is for the caller to check.
#   images        none, images in a directory: what CRIU can do by itself
#   page-server   memory goes to a page server
#   pre-dump      two pre-dumps while the program works, and a dump that builds on them where the kernel has soft-dirty bits
#   lazy-pages    the restored program gets its memory while it works, and the dumped one stands for as long
#   lazy-source   the same with lazy-source between the dump and lazy-pages; $theirs: CRIU's lazy-pages
#   image-stream  image-proxy and image-cache, no image on a disk
# and where the kernel has soft-dirty bits
#   page-chain    two pre-dumps and a dump, each to a page server
#   image-chain   a pre-dump and a dump by --page-server into image-proxy, and a restore out of image-cache

ways=(images page-server pre-dump lazy-pages lazy-source image-stream page-chain image-chain)
img=$tmp/img
through_port=12500

# What CRIU needs for the programs, daemon or not. Their connections end.
dump_words=(--tcp-close --skip-in-flight --file-locks --link-remap --ghost-limit 512M)
restore_words=(--tcp-close --file-locks --link-remap --restore-detached)

# server COMMAND...: of the other namespace, in the background; it is $server
server()
{
	ip netns exec dst "$@" > $tmp/server.json 2> $tmp/server.err &
	server=$!
}
told() { grep '"event":"'"$1"'"' $tmp/"${3:-server}".json | tail -n 1 | grep -o "\"$2\":[a-z0-9]*" | cut -d: -f2; }
server_told() { grep -qs '"event":"'"$1"'"' $tmp/server.json; }
server_listens() { in_dst ss -Hltn "sport = :$through_port" | grep -q .; }
server_ends() { fail="the server does not end" && wait_for 60 ended $server && fail="the server fails" && wait $server; }

# dump_to DIR WORD...: the log is kept for a person who looks at a failure
dump_to()
{
	local to=$1
	shift
	criu dump --tree "$ticker" --images-dir "$to" -v4 -o $tmp/criu-dump.log "${dump_words[@]}" "$@" \
		> $tmp/criu.log 2>&1
}

# restore_from DIR WORD...: in a pid namespace of its own, since a lazy dump keeps the pids here; it is $copy
restore_from()
{
	local from=$1
	shift
	rm -f $tmp/restored
	ip netns exec dst unshare --pid --fork --kill-child --mount-proc sh -c '
		status=$1
		shift
		criu restore "$@"
		echo $? > "$status"
		exec sleep 3600' sh $tmp/restored --images-dir "$from" -v4 -o $tmp/criu-restore.log "${restore_words[@]}" "$@" \
		>> $tmp/criu.log 2>&1 &
	copy=$!
	wait_for 60 test -s $tmp/restored && [ "$(cat $tmp/restored)" = 0 ]
}

is_gone() { ! kill -0 "$ticker" 2> /dev/null; }

through_images()
{
	fail="criu dump fails" && dump_to $img && fail="criu restore fails" && restore_from $img
}

through_page-server()
{
	if [ "$theirs" ]; then
		server criu page-server --images-dir $img --address $dst --port $through_port -o $tmp/criu-server.log
	else
		server migrate-helper page-server --images-dir $img --address $dst --port $through_port --once --json
	fi
	fail="the page server does not start" && wait_for 10 server_listens &&
		fail="criu dump fails" && dump_to $img --page-server --address $dst --port $through_port &&
		server_ends || return
	[ "$theirs" ] || { fail="no page came" && [ "$(told complete pages)" -gt 10 ]; } || return
	fail="criu restore fails" && restore_from $img
}

# pre_dump NUMBER
pre_dump()
{
	local parent=$(($1 - 1)) words=()
	[ $parent = 0 ] || words=(--prev-images-dir "../$parent")
	mkdir $img/"$1"
	if [ "$theirs" ]; then
		criu pre-dump --tree "$ticker" --images-dir $img/"$1" -o $tmp/criu-pre-dump.log "${words[@]}" > $tmp/criu.log 2>&1
	else
		migrate-helper pre-dump --pid "$ticker" --images-dir $img/"$1" --json "${words[@]}" \
			> $tmp/pre-dump.json 2> $tmp/pre-dump.err
	fi
}

# grows: the program works on
works_on()
{
	local before
	before=$(count_now)
	wait_for 30 counted "$before"
}

through_pre-dump()
{
	local last=1 in_parent words=()
	fail="the pre-dump fails" && pre_dump 1 || return
	if [ "$theirs" ] || [ "$(told result chain pre-dump)" = true ]; then
		fail="it does not work after a pre-dump" && works_on && fail="the second pre-dump fails" && pre_dump 2 || return
		last=2 words=(--track-mem --prev-images-dir ../2)
	fi
	fail="nothing is in the images" && [ "$(pre_dump.py count $img/1 | cut -d' ' -f1)" -gt 10 ] &&
		fail="it does not work after a pre-dump" && works_on || return
	mkdir $img/dump
	fail="criu dump fails" && dump_to $img/dump "${words[@]}" || return
	if [ $last = 2 ]; then
		in_parent=$(pre_dump.py count $img/dump | cut -d' ' -f2)
		fail="criu dump builds on nothing" && [ "$in_parent" -gt 0 ] || return
		echo "# $in_parent pages of the dump are in its parents"
	fi
	fail="criu restore fails" && restore_from $img/dump
}

dump_serves() { [ -s $tmp/status.dump ]; }
lazy_serves() { [ -S $img/lazy-pages.socket ]; }

# holds ADDRESS PORT: a lazy dump waits there; it is $dump
holds()
{
	rm -f $tmp/status.dump
	dump_to $img --lazy-pages --address "$1" --port "$2" --status-fd 7 7> $tmp/status.dump &
	dump=$!
	fail="criu dump fails" && wait_for 60 dump_serves
}

# lazily: a restore whose pages come from $src
lazily()
{
	if [ "$theirs" ]; then
		server criu lazy-pages --images-dir $img --page-server --address $src --port $through_port -o $tmp/criu-server.log
	else
		server migrate-helper lazy-pages --images-dir $img --address $src --port $through_port --json
	fi
	fail="lazy-pages does not start" && wait_for 10 lazy_serves &&
		fail="criu restore fails" && restore_from $img --lazy-pages &&
		server_ends && fail="the dump does not end" && wait_for 60 ended $dump && fail="the dump fails" && wait $dump
}

# no_losses [LOG]: of one of the two ends of a lazy restore
no_losses()
{
	fail="no page came" && [ "$(told result pages "$@")" -gt 10 ] && fail="losses" && [ "$(told result losses "$@")" = 0 ]
}

through_lazy-pages()
{
	local dump
	holds $src $through_port && lazily && { [ "$theirs" ] || no_losses; }
}

source_serves() { [ -s $tmp/status.source ]; }

through_lazy-source()
{
	local dump source
	holds 127.0.0.1 $((through_port + 1)) || return
	rm -f $tmp/status.source
	migrate-helper lazy-source --pid "$ticker" --images-dir $img --criu-port $((through_port + 1)) --address $src \
		--port $through_port --json --status-fd 7 7> $tmp/status.source > $tmp/source.json 2> $tmp/source.err &
	source=$!
	fail="lazy-source does not start" && wait_for 30 source_serves && lazily &&
		fail="lazy-source does not end" && wait_for 30 ended $source && fail="lazy-source fails" && wait $source || return
	no_losses source && { [ "$theirs" ] || no_losses; }
}

through_image-stream()
{
	local proxy
	if [ "$theirs" ]; then
		fail="Debian has no image streamer of CRIU's"
		return 1
	fi
	mkdir -p $img/here $img/there $img/link
	server migrate-helper image-cache --images-dir tree=$img/there --listen unix:$img/link/sock --once --json
	fail="the cache does not start" && wait_for 10 server_told listening || return
	migrate-helper image-proxy --images-dir tree=$img/here --to unix:$img/link/sock --once --json \
		> $tmp/proxy.json 2> $tmp/proxy.err &
	proxy=$!
	fail="the proxy does not start" && wait_for 10 test -S $img/here/streamer-capture.sock &&
		fail="criu dump fails" && dump_to $img/here --stream --action-script migrate-helper &&
		fail="the proxy fails" && wait $proxy && fail="the dump was not confirmed" &&
		grep -q '"confirmed":true' $tmp/proxy.json &&
		fail="criu restore fails" && restore_from $img/there --stream && server_ends &&
		fail="images are on the disk" && [ -z "$(find $img -name '*.img' ! -name 'stats-*')" ]
}

# chain_words LAST: to build on the dump before, if there is one
chain_words() { words=(--track-mem); [ -z "$1" ] || words+=(--prev-images-dir "../$1"); }

# to_page_server pre-dump|dump DIR WORD...
to_page_server()
{
	local action=$1 to=$2
	shift 2
	if [ "$action" = dump ]; then
		dump_to "$to" "$@"
	else
		criu pre-dump --tree "$ticker" --images-dir "$to" -o $tmp/criu-pre-dump.log "$@" > $tmp/criu.log 2>&1
	fi
}

through_page-chain()
{
	local last='' name action=pre-dump words
	if [ "$theirs" ]; then
		fail="not written for CRIU's page server"
		return 1
	fi
	for name in 1 2 3; do
		mkdir $img/$name
		[ $name != 3 ] || action=dump
		server migrate-helper page-server --images-dir $img/$name --address $dst --port $through_port --once --json \
			${last:+--prev-images-dir ../$last}
		chain_words "$last"
		fail="the page server does not start: $name" && wait_for 10 server_listens &&
			fail="criu $action fails: $name" &&
			to_page_server $action $img/$name "${words[@]}" --page-server --address $dst --port $through_port &&
			server_ends && { [ $name = 3 ] || { fail="it does not work after a pre-dump" && works_on; }; } || return
		last=$name
	done
	fail="criu dump builds on nothing" && [ "$(told complete in_parent)" -gt 0 ] || return
	echo "# $(told complete in_parent) pages of the dump are in its parents"
	fail="criu restore fails" && restore_from $img/3
}

through_image-chain()
{
	local proxy to=(--page-server --address 127.0.0.1 --port "$through_port")
	if [ "$theirs" ]; then
		fail="CRIU has no such thing"
		return 1
	fi
	mkdir -p $img/here.1 $img/here $img/there $img/link
	server migrate-helper image-cache --images-dir tree=$img/there --listen unix:$img/link/sock --once --json
	fail="the cache does not start" && wait_for 10 server_told listening || return
	migrate-helper image-proxy --images-dir tree=$img/here --to unix:$img/link/sock --page-server 127.0.0.1:$through_port \
		--once --json > $tmp/proxy.json 2> $tmp/proxy.err &
	proxy=$!
	fail="the proxy does not start" && wait_for 10 test -S $img/here/streamer-capture.sock &&
		fail="criu pre-dump fails" && to_page_server pre-dump $img/here.1 --track-mem "${to[@]}" &&
		fail="it does not work after a pre-dump" && works_on &&
		fail="criu dump fails" &&
		dump_to $img/here --track-mem --prev-images-dir ../here.1 "${to[@]}" --action-script migrate-helper &&
		fail="the proxy fails" && wait $proxy && fail="criu restore fails" && restore_from $img/there --stream &&
		server_ends && fail="memory is on the disk" && [ -z "$(find $img -name 'pages-*.img')" ]
}

# goes_through: $ticker, by $way; the dumped one is gone.
goes_through()
{
	rm -rf $img $tmp/*.json
	mkdir -p $img
	copy='' server=''
	"through_$way" && fail="it is still here" && wait_for 10 is_gone
}

# Whatever is left of the copy, and of servers.
end_through()
{
	local one
	for one in ${copy:-} ${server:-} $(jobs -p); do
		kill -9 "$one" 2> /dev/null
	done
	wait 2> /dev/null
	rm -rf $img
}
