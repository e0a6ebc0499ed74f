# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154,SC2317 # for those who read this in; of attached and handover.sh; functions given to check
# Parts of attached: files of the program, which the destination has otherwise, by another name or not at all.

# Serve has another directory as /srv.
write_other_files()
{
	cat > $tmp/other_files << END
#!/bin/sh
mount --make-rprivate / && mount --bind $tmp/there /srv && exec "\$@"
END
	chmod +x $tmp/other_files
	serve_in="unshare -m $tmp/other_files"
}

# file THING PATTERN COMMAND: refused until COMMAND is given at the destination
file()
{
	start "$1"
	check "refused, $1: $2" refused "$2" --accept-loss writable-file --accept-loss shared-mapping
	(cd $tmp/there && eval "$3")
	move --accept-loss writable-file --accept-loss shared-mapping
	check "$1: $3, and it moves" [ "$status" = 0 ]
	end
	rm -rf $tmp/there
	mkdir -p $tmp/there
}

run_files()
{
	mkdir -p /srv/dir $tmp/there
	chmod 750 /srv/dir
	mkfifo -m 640 /srv/fifo
	echo text > /srv/text
	chmod 640 /srv/text
	cp /srv/text /dev/shm/text
	head -c 4096 /dev/zero > /srv/data
	write_other_files
	file open=/srv/text "the file /srv/text is descriptor 3 .*: copy it here with its mode, 0640" \
		"cp -p /srv/text ."
	file open=/srv/text "the file /srv/text is descriptor 3" "echo tex. > text; chmod 640 text"
	file open=/srv/dir "the directory /srv/dir is descriptor 3.*: mkdir -p, chmod 0750" "mkdir -m 750 dir"
	file cwd=/srv/dir "the directory /srv/dir is the program's working directory" "mkdir -m 750 dir"
	file open=/srv/fifo "the FIFO /srv/fifo is descriptor 3.*: mkfifo, chmod 0640" "mkfifo -m 640 fifo"
	file appended=/srv/log "the file /srv/log is descriptor 3.*: touch, chmod 0600" \
		"seq 1000 > log; chmod 600 log"
	file mapped=/srv/data "the file /srv/data is mapped.*same storage" "cp -p /srv/data ."
	file file=/srv/data "the file /srv/data is descriptor 3" "cp -p /srv/data ."
	mkdir -p $tmp/there/dir
	(cd $tmp/there && echo text > text && chmod 600 text)
	start open=/srv/text
	check "refused: another mode" refused "/srv/text is descriptor 3"
	end
	start_job "\$lossy &"
	check "refused: the file for the terminal's output is not there" \
		refused "the file /srv/output is to take the place of a terminal" --replace-tty /srv/output
	end
	serve_in=
	run_shm
}

# A mapping of a file of /dev/shm, which the destination has not.
run_shm()
{
	cat > $tmp/other_shm << 'END'
#!/bin/sh
mount --make-rprivate / && mount -t tmpfs none /dev/shm && exec "$@"
END
	chmod +x $tmp/other_shm
	head -c 4096 /dev/zero > /dev/shm/data
	serve_in="unshare -m $tmp/other_shm"
	start mapped=/dev/shm/data
	move
	check "a mapping of /dev/shm moves with its file" [ "$status" = 0 ]
	check "it maps that there" maps /dev/shm/data
	end
	serve_in=
	rm -f /dev/shm/data
}

maps() { grep -q " $1\$" "/proc/$(there)/maps"; }

# renamed THING: the file /srv/text has the name /srv/text.2 alone, and the program has it by the old one
renamed()
{
	rm -rf /srv/text.2 $tmp/there
	mkdir -p $tmp/there
	head -c 4096 /dev/urandom > /srv/text
	start "$1"
	check "refused, $1: the other name is not there" refused "the file /srv/text.2 is $2" \
		--accept-loss writable-file
	cp -p /srv/text.2 $tmp/there
	move --accept-loss writable-file
	check "$1: it is there, the program moves" [ "$status" = 0 ]
}

# A file that has another name left is opened by that one.
run_renamed()
{
	mkdir -p $tmp/there
	write_other_files
	renamed open-other-name=/srv/text "descriptor 3"
	check "the file has its other name" holds_open 3 /srv/text.2
	end
	renamed mapped-other-name=/srv/text "mapped"
	check "the mapping has it too" maps /srv/text.2
	end
	renamed other-name=/srv/text "descriptor 3"
	check "a file that is written to has it" holds_open 3 /srv/text.2
	check "what a writer loses is told" lost writable-file accepted "descriptor 3 is /srv/text (deleted)"
	end
	check "nothing is left behind in its directory" \
		[ "$(ls -d /srv/text* /srv/*remap* 2> /dev/null)" = /srv/text.2 ]
	serve_in=
}
