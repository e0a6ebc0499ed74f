# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2086,SC2154,SC2317 # for those who read this in; of tree.sh and handover.sh; functions given to check
# Cases of tree: shared memory.

# sees PORT...: each process there has seen pages of the others become newer, since it moved
sees_others()
{
	local in=(ip netns exec dst) before at
	for at; do
		fail="nobody answers on port $at"
		asks "$at" || return 1
		before=$(awk '{ print $3 }' $tmp/answer)
		sleep 0.5
		asks "$at" || return 1
		fail="port $at: the others have other memory"
		[ "$(awk '{ print $3 }' $tmp/answer)" -gt "$before" ] || return 1
	done
}

compared() { fail="nothing was compared: $(result)" && result | grep -q '"shared_compared_pages":[1-9]'; }
compared_early() { fail="nothing was compared while CRIU dumped: $(result)" && result | grep -q '"shared_early_pages":[1-9]'; }

# It has 32 MiB, of which no page is a hole: each process looks at all of them.
verified_shared() { verified && fail="$(result)" && [ "$(result | sed 's/.*"verified_pages":\([0-9]*\).*/\1/')" -ge 8192 ]; }

# shared NAME KIND HOW [COMMAND...]: a parent and two children with the same shared memory, which all of them write
shared()
{
	start "exec ${*:4} shared 5001 32 2 $2 $3"
	check "$1: they run" goes_on src 5001 5002 5003
	check "$1: the tree moves" move
	check "$1: the pages were compared" compared
	check "$1: some while CRIU dumped" compared_early
	check "$1: all memory was compared there" verified_shared
	check "$1: each page is as its process wrote it" goes_on dst 5001 5002 5003
	check "$1: they share the memory still" sees_others 5001 5002 5003
	end
}

run_shm_memfd() { shared shm_memfd memfd store; }
run_shm_pwrite() { shared shm_pwrite memfd pwrite; }
run_shm_splice() { shared shm_splice memfd splice; }
run_shm_punch() { shared shm_punch memfd punch; }
# Huge pages, for the program here and for the one there. The pool is the machine's: it is as before afterwards.
run_shm_huge()
{
	local pool=/proc/sys/vm/nr_overcommit_hugepages before
	before=$(cat $pool)
	# shellcheck disable=SC2064 # as it is now
	trap "echo $before > $pool" EXIT
	echo $((before + 32)) > $pool
	start "exec shared 5001 16 2 huge store"
	check "shm_huge: they run" goes_on src 5001 5002 5003
	check "shm_huge: the tree moves" move
	check "shm_huge: each page is as its process wrote it" goes_on dst 5001 5002 5003
	check "shm_huge: they share the memory still" sees_others 5001 5002 5003
	end
	echo "$before" > $pool
	trap - EXIT
}

run_shm_anon() { shared shm_anon anon store; }
# A segment of System V memory, in an IPC namespace of the program's own.
run_shm_sysv() { shared shm_sysv sysv store unshare --ipc; }
# A segment that nobody has attached, with the number of a memfd: CRIU has one name for both.
make_double()
{
	cat > $tmp/double.py <<-'PY'
		import os, subprocess, sys, time
		fd = os.memfd_create("double")
		os.write(fd, b"memfd" * 4096)
		with open("/proc/sys/kernel/shm_next_id", "w") as next_id:
		    next_id.write(str(os.fstat(fd).st_ino))
		said = subprocess.check_output(["ipcmk", "-M", "65536"], text=True)
		open(sys.argv[1], "w").write("%s %d" % (said.split()[-1], os.fstat(fd).st_ino))
		time.sleep(1000)
	PY
}
is_double() { fail="$(cat $tmp/doubled)" && read -r id ino < <(cat $tmp/doubled; echo) && [ "$id" = "$ino" ]; }
run_shm_double()
{
	make_double
	rm -f $tmp/doubled
	start "exec unshare --ipc python3 $tmp/double.py $tmp/doubled"
	wait_for 20 test -s $tmp/doubled
	check "shm_double: the numbers are the same" is_double
	check "shm_double: refused" not_moved
	check "shm_double: the reason is told" refused "which CRIU takes for one"
	check "shm_double: it goes on here" kill -0 "$pid"
	end
	pkill -9 -x python3
}
# More objects than the destination has places for: those beyond are CRIU's. Each has its number as its name and content.
make_places()
{
	cat > $tmp/places.py <<-'PY'
		import os, sys, time
		for i in range(2100):
		    os.write(os.memfd_create("place%d" % i), b"%d" % i)
		open(sys.argv[1], "w").close()
		time.sleep(1000)
	PY
	cat > $tmp/count.py <<-'PY'
		import os, sys
		base, right = "/proc/%s/fd/" % sys.argv[1], 0
		for fd in os.listdir(base):
		    name = os.readlink(base + fd)
		    if name.startswith("/memfd:place"):
		        right += open(base + fd).read() == name.split()[0][len("/memfd:place"):]
		print(right)
	PY
}
has_places() { fail="$(python3 $tmp/count.py "$1") of 2100" && [ "$(python3 $tmp/count.py "$1")" = 2100 ]; }
left_to_criu() { fail="$(result)" && grep -q "more shared memory objects than are copied" $tmp/migrate.json && result | grep -q '"shared_objects":1791,'; }
run_shm_places()
{
	make_places
	rm -f $tmp/placed
	start "ulimit -n 4096; exec python3 $tmp/places.py $tmp/placed"
	wait_for 20 test -e $tmp/placed
	check "shm_places: it has them" has_places "$pid"
	check "shm_places: it moves" eval "ulimit -Sn 4096; move"
	check "shm_places: CRIU has those that have no place" left_to_criu
	check "shm_places: each is there" has_places "$(side_pids dst python3)"
	end
	pkill -9 -x python3
}

# A tmpfs that is /dev/shm for the destination alone.
other_shm()
{
	mkdir -p /srv/other-shm
	mountpoint -q /srv/other-shm || mount -t tmpfs -o mode=1777 other /srv/other-shm
	# shellcheck disable=SC2016 # for the shell in there
	serve_by=(sh -c 'mount --bind /srv/other-shm /dev/shm && exec "$0" "$@"')
}

shm_files() { find "$1" -mindepth 1 | tr '\n' ' '; }
has_file() { fail="there is: $(shm_files /srv/other-shm)" && [ "$(shm_files /srv/other-shm)" = "/srv/other-shm/tree-shared " ]; }
has_none() { [ -z "$(shm_files /srv/other-shm)" ]; }
no_file() { fail="there is: $(shm_files /srv/other-shm)" && wait_for 20 has_none; }
same_mode() { fail="its mode is $(stat -c %a /srv/other-shm/tree-shared)" && [ "$(stat -c %a,%s /srv/other-shm/tree-shared)" = "$(stat -c %a,%s /dev/shm/tree-shared)" ]; }
maps_file() { fail="it maps another file" && grep -q ' /dev/shm/tree-shared$' "/proc/$(side_pids dst shared | head -n 1)/maps"; }

# A file of /dev/shm, which the destination has not.
run_shm_file()
{
	other_shm
	shared shm_file /dev/shm/tree-shared store
	check "shm_file: it is there, and nothing else" has_file
	check "shm_file: its mode and size are the same" same_mode
	rm -f /srv/other-shm/* /dev/shm/tree-shared
	start "exec shared 5001 32 2 /dev/shm/tree-shared pwrite"
	check "shm_file: they run again" goes_on src 5001 5002 5003
	check "shm_file: the tree moves again" move
	check "shm_file: each page is as its process wrote it again" goes_on dst 5001 5002 5003
	check "shm_file: they map it" maps_file
	end
	rm -f /srv/other-shm/* /dev/shm/tree-shared
	serve_by=()
}

# The destination has such a file, or the move fails when the file is there.
run_shm_file_kept()
{
	start "exec shared 5001 8 2 /dev/shm/tree-shared store"
	check "shm_file_kept: they run" goes_on src 5001 5002 5003
	check "shm_file_kept: the move fails" fails
	check "shm_file_kept: the reason is told" refused "tree-shared is at the destination already"
	check "shm_file_kept: they go on here" goes_on src 5001 5002 5003
	other_shm
	rm -f $tmp/serve.json
	(wait_for 60 ready_is_said && kill -9 "$(side_pids dst shared | tail -n 1)") &
	MIGRATE_HELPER_STATE_DELAY_MS=1500 MIGRATE_HELPER_STATE_DELAY_FROM=COMMIT,READY check "shm_file_kept: the move fails when one is killed there" fails
	check "shm_file_kept: nothing stays there" no_file
	rm -f $tmp/serve.json
	(wait_for 60 ready_is_said && kill -9 "$(side_pids dst migrate-helper | tail -n 1)") &
	MIGRATE_HELPER_STATE_DELAY_MS=1500 MIGRATE_HELPER_STATE_DELAY_FROM=COMMIT,READY check "shm_file_kept: the move fails when the helper there is killed" fails
	check "shm_file_kept: nothing stays there then" no_file
	check "shm_file_kept: they go on here still" goes_on src 5001 5002 5003
	end
	rm -f /dev/shm/tree-shared
	serve_by=()
}

# The init of the namespace lends the memory to the restore, and must not keep it.
held_by_init() { find "/proc/$(pgrep -x migrate-init)/fd" -lname '/memfd:*' | wc -l; }
not_held() { fail="the init has $(held_by_init) memfds" && [ "$(held_by_init)" = 0 ]; }
one_inode() { find /proc/[0-9]*/fd -lname '/memfd:shared object*' -exec stat -Lc %i {} + 2> /dev/null | sort -u | wc -l; }
is_one() { fail="$(one_inode) memfds" && [ "$(one_inode)" = 1 ]; }
seals() { python3 -c 'import fcntl, os, sys; print(fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), 1034))' "/proc/$(side_pids dst shared | head -n 1)/fd/3"; }
has_seals() { fail="its seals are $(seals)" && [ "$(seals)" = 6 ]; }

# Name and seals (F_SEAL_SHRINK and F_SEAL_GROW) are as they were.
run_shm_sealed()
{
	start "exec shared 5001 8 2 sealed pwrite"
	check "shm_sealed: they run" goes_on src 5001 5002 5003
	check "shm_sealed: the tree moves" move
	check "shm_sealed: each page is as its process wrote it" goes_on dst 5001 5002 5003
	check "shm_sealed: it is one memfd for all, with its name" is_one
	check "shm_sealed: its seals are there" has_seals
	check "shm_sealed: nobody else has it" not_held
	end
}
