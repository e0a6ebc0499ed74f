# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2034,SC2086,SC2317 # variables of programs and handover.sh
# The programs that `programs` moves. start_NAME starts one, in a session of its own, and its load:
# $ticker is the root of its tree, $count a file whose first number grows with the work done. What is
# wrong goes to $count.wrong. whole_NAME looks at it in the end, when it works at the destination.

programs=(redis memcached nginx python postgres postgres_kept node java go pool supervisor sysv shell threads mappings reserved)
data=$tmp/data
count=$tmp/count

count_now() { grep -oE '[0-9]+' $count 2> /dev/null | head -n 1 || echo 0; }
counted() { [ "$(count_now)" -gt "$1" ] 2> /dev/null; }
listens() { ss -Hltn | grep -q ":$1 "; }

run()
{
	setsid "$@" < /dev/null >> $tmp/server.log 2>&1 &
	ticker=$!
	disown
}

# load COMMAND...: what makes the program work.
load()
{
	"$@" > /dev/null 2> $tmp/ask.err &
	asker=$!
}

# http_whole: the clients of moved_http.py saw nothing wrong, and the new address.
http_whole()
{
	kill -TERM "$asker" && wait_for 60 ended "$asker" && fail="clients: $(cat $count)" &&
		[[ $(cat $count) =~ ^done\ [0-9]+\ 0\ $dst$ ]]
}

# redis, whose child writes all of it to a file all the time.
saves()
{
	while :; do
		redis-cli -h $src -p 6379 bgsave || redis-cli -h $dst -p 6379 bgsave
		sleep 0.3
	done > /dev/null 2>&1
}

start_redis()
{
	run redis-server --bind '*' --port 6379 --protected-mode no --save '' --dir "$data"
	wait_for 20 listens 6379 || return
	load python3 "$here/moved_client.py" redis 6379 $count $src $dst
	wait_for 60 counted 0 || return
	saves &
	saver=$!
	sleep 0.5
}

whole_redis()
{
	kill "$saver"
	kill -TERM "$asker" && wait_for 120 ended "$asker" && fail="client: $(cat $count)" &&
		[[ $(cat $count) =~ ^done\ [0-9]+\ 0\ 20000\ $dst$ ]] &&
		fail="no file is saved" && rm -f "$data"/dump.rdb &&
		wait_for 20 redis_saves && redis-check-rdb "$data"/dump.rdb > $tmp/check.log &&
		grep -q '20000 keys read' $tmp/check.log
}

redis_saves()
{
	redis-cli -h $dst -p 6379 bgsave > /dev/null
	[ -s "$data"/dump.rdb ]
}

# memcached, with four threads for its clients.
start_memcached()
{
	run memcached -u root -l 0.0.0.0 -p 11211 -U 0 -t 4 -m 256
	wait_for 20 listens 11211 || return
	load python3 "$here/moved_client.py" memcached 11211 $count $src $dst
}

whole_memcached()
{
	kill -TERM "$asker" && wait_for 120 ended "$asker" && fail="client: $(cat $count)" &&
		[[ $(cat $count) =~ ^done\ [0-9]+\ 0\ 20000\ $dst$ ]]
}

# nginx, a master and four workers.
start_nginx()
{
	head -c 200000 /dev/urandom > "$data"/body
	cat > "$data"/conf <<-END
		user root;
		worker_processes 4;
		daemon off;
		pid $data/pid;
		error_log $data/errors;
		events { worker_connections 64; }
		http {
			access_log $data/access;
			server { listen 8080 reuseport; root $data; }
		}
	END
	run nginx -c "$data"/conf -e "$data"/errors
	wait_for 20 listens 8080 || return
	load python3 "$here/moved_http.py" 8080 /body "$data"/body $count $src $dst
}

nginx_workers() { pgrep -f '^nginx: worker process$'; }
# A worker that was not there before PIDS; four in all.
nginx_worker_is_new() { [ "$(nginx_workers | wc -l)" = 4 ] && [ "$(nginx_workers | head -n 4)" != "$1" ]; }

whole_nginx()
{
	local workers
	workers=$(nginx_workers)
	fail="workers: $workers" && [ "$(wc -l <<< "$workers")" = 4 ] || return
	kill -9 "$(head -n 1 <<< "$workers")"
	fail="the master starts no worker" && wait_for 10 nginx_worker_is_new "$workers" && http_whole
}

# PostgreSQL with pgbench, which makes a connection for each transaction.
pg() { setpriv --reuid postgres --regid postgres --clear-groups env PATH="$(echo /usr/lib/postgresql/*/bin):$PATH" "$@"; }

pg_bench()
{
	local done=0 address out
	while :; do
		for address in $src $dst; do
			out=$(pg pgbench -h $address -n -C -c 2 -t 20 bench 2>> $tmp/ask.err)
			done=$((done + $(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<< "$out" | grep . || echo 0)))
			echo "$done" > $count
		done
	done
}

# postgres_up ADDRESS: the server listens, and there is a database for pgbench.
postgres_up()
{
	chown postgres "$data"
	chmod 711 $tmp
	pg initdb -D "$data"/db -A trust > $tmp/initdb.log 2>&1 || return
	cat >> "$data"/db/postgresql.conf <<-END
		listen_addresses = '*'
		unix_socket_directories = ''
		shared_buffers = 64MB
	END
	printf 'host all all %s trust\n' 10.1.0.0/24 10.2.0.0/24 >> "$data"/db/pg_hba.conf
	run unshare --ipc setpriv --reuid postgres --regid postgres --clear-groups \
		"$(echo /usr/lib/postgresql/*/bin/postgres)" -D "$data"/db
	wait_for 20 listens 5432 || return
	wait_for 20 pg createdb -h "$1" bench 2> /dev/null || return
	pg pgbench -h "$1" -i -q -s 2 bench > $tmp/pgbench.log 2>&1
}

start_postgres()
{
	postgres_up $src || return
	pg_bench &
	asker=$!
}

# sums_are_right [COMMAND...]: psql, by way of COMMAND, finds that no transaction was lost, and none done twice.
sums_are_right()
{
	local sums
	sums=$("$@" -At -d bench -c 'select (select sum(abalance) from pgbench_accounts) -
		(select sum(delta) from pgbench_history), (select sum(bbalance) from pgbench_branches) -
		(select sum(delta) from pgbench_history)' 2>&1)
	fail="sums: $sums" && [ "$sums" = "0|0" ]
}

whole_postgres()
{
	kill "$asker"
	wait "$asker" 2> /dev/null
	sums_are_right pg psql -h $dst
}

# The same with --tcp keep: the connections of pgbench, which is in the peer's network namespace, last.
start_postgres_kept()
{
	lan_up
	give_addresses
	postgres_up $v4 || return
	keep="--tcp keep" serve_args="--take-addresses edst"
	: > $tmp/ask.err
	pg_in_peer pgbench -h $v4 -n -c 4 -j 2 -T 3600 --progress=1 --verbose-errors bench \
		> $tmp/pgbench.log 2> $tmp/ask.err &
	asker=$!
	pg_count &
	wait_for 30 pg_connected || return
	ports=$(pg_ports)
}

# In a process of its own, which becomes the program.
pg_in_peer()
{
	local program
	program=$(echo /usr/lib/postgresql/*/bin/"$1")
	shift
	exec ip netns exec peer "$program" -U postgres "$@"
}

pg_ports() { ip netns exec peer ss -Htn dport = :5432 | awk '{ print $1, $4 }' | sort; }
pg_connected() { [ "$(pg_ports | grep -c '^ESTAB ')" = 4 ]; }

pg_failures() { grep -iE 'error|fatal|abort|[1-9][0-9]* failed' $tmp/ask.err | head -n 1; }

# The transactions that were done until now: pgbench says each second how many a second.
pg_count()
{
	while kill -0 "$asker" 2> /dev/null; do
		awk '/^progress:/ { done += $4 } END { printf "%d\n", done }' $tmp/ask.err > $count.new
		mv $count.new $count
		sleep 0.2
	done
}

whole_postgres_kept()
{
	fail="its connections: $(pg_ports)" && [ "$(pg_ports)" = "$ports" ] &&
		fail="pgbench has ended" && kill -0 "$asker" || return
	kill "$asker"
	wait "$asker" 2> /dev/null
	fail="pgbench: $(pg_failures)" && [ -z "$(pg_failures)" ] || return
	sums_are_right pg_in_peer psql -h $v4
}

# Python's own server, a thread for each connection.
start_python()
{
	head -c 200000 /dev/urandom > "$data"/body
	run python3 -m http.server 8082 --directory "$data"
	wait_for 20 listens 8082 || return
	load python3 "$here/moved_http.py" 8082 /body "$data"/body $count $src $dst
}
whole_python() { http_whole; }

start_node()
{
	head -c 100000 /dev/urandom | base64 -w 0 > "$data"/body
	run env LD_PRELOAD="$here/../bench/without_io_uring.so" node -e "
		const body = require('fs').readFileSync('$data/body'), parts = [];
		setInterval(() => { parts.push(Buffer.from(body)); if (parts.length > 100) parts.splice(0, 50); }, 1);
		require('http').createServer((q, r) => r.end(parts[parts.length - 1])).listen(8080);"
	wait_for 20 listens 8080 || return
	load python3 "$here/moved_http.py" 8080 / "$data"/body $count $src $dst
}
whole_node() { http_whole; }

start_java()
{
	run java -Xmx512m -XX:-UsePerfData "$here/MovedHeap.java" 8081
	wait_for 60 listens 8081 || return
	echo whole > "$data"/body
	load python3 "$here/moved_http.py" 8081 / "$data"/body $count $src $dst
}
whole_java() { http_whole; }

# Without the files of network interfaces in /sys: those of this machine's are not in the other namespace, and the
# move is given up when one is open at the freeze.
start_go()
{
	run prometheus-node-exporter --no-collector.netclass --web.listen-address=:9100
	wait_for 20 listens 9100 || return
	load python3 "$here/moved_http.py" 9100 /metrics - $count $src $dst
}
whole_go() { http_whole; }

# Those that check themselves.
start_pool() { run python3 "$here/moved_trees.py" pool $count; }
whole_pool() { [ "$(pgrep -cf 'moved_trees.py pool')" -ge 5 ]; }
start_supervisor() { run python3 "$here/moved_trees.py" supervisor $count; }
whole_supervisor() { [ "$(pgrep -cf 'moved_trees.py supervisor')" -ge 19 ]; }

start_sysv() { run unshare --ipc python3 "$here/moved_trees.py" sysv $count; }
whole_sysv() { [ "$(pgrep -cf 'moved_trees.py sysv')" = 2 ]; }

# A shell script that calls programs all the time.
start_shell()
{
	cat > "$data"/script <<-'END'
		n=0
		while :; do
			n=$((n + 1))
			sum=$(printf '%s\n' $n | sha256sum | cut -d' ' -f1)
			[ "$(echo $n | tee /dev/null | cat)" = $n ] && [ ${#sum} = 64 ] ||
				echo "step $n: $sum" >> "$2.wrong"
			echo $n > "$2.new" && mv "$2.new" "$2"
		done
	END
	run sh "$data"/script "" $count
}
whole_shell() { :; }

# heart ARGUMENT...: a program that checks its memory all the time.
heart()
{
	rm -f /dev/shm/heart
	run heartbeat /dev/shm/heart 10 hot "$@"
	heart_count &
	asker=$!
}

heart_count()
{
	while :; do
		# shellcheck disable=SC2046 # numbers
		set -- $(od -An -v -tu8 -w40 -N40 /dev/shm/heart 2> /dev/null)
		[ "${4:-0}" = 0 ] || echo "$1" > $count
		[ "${5:-0}" = 0 ] || echo "$5 pages" > $count.wrong
		sleep 0.05
	done
}

start_threads() { heart threads=500; }
start_mappings() { heart pairs=10000; }
start_reserved() { heart reserved=64; }
whole_threads() { [ "$(find /proc/"$(pgrep -x heartbeat)"/task -mindepth 1 -maxdepth 1 | wc -l)" = 501 ]; }
whole_mappings() { [ "$(wc -l < /proc/"$(pgrep -x heartbeat)"/maps)" -gt 20000 ]; }
whole_reserved() { [ "$(awk '/^VmSize/ { print $2 }' /proc/"$(pgrep -x heartbeat)"/status)" -gt $((64 << 20)) ]; }
