# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of run
# The command line of one guest, and what it left behind.

# qemu_net NODE NAME MAC MODEL: one end of a wire to the other node.
qemu_net()
{
	local model=$4 server=off reconnect=,reconnect-ms=50
	[ "$1" = 1 ] && server=on reconnect=
	[ "$model" != virtio_net ] || model=virtio-net-pci
	printf '%s\n' \
		-netdev "stream,id=$2,server=$server,addr.type=unix,addr.path=$2$reconnect" \
		-device "$model,netdev=$2,mac=$3"
}

# qemu_port NAME CHARDEV...: a virtio-serial port.
qemu_port()
{
	printf '%s\n' -chardev "$2" -device "virtserialport,chardev=$1,name=$1"
}

# qemu_9p TAG DIR OPTIONS
qemu_9p()
{
	printf '%s\n' -fsdev "local,id=$1,path=$2,security_model=none$3" \
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1"
}

# So long a guest that boots says nothing on its console at most, in seconds: tens of times what
# the busiest machine took.
boot_silence=${BOOT_SILENCE:-60}

# node_is_up NODE: its init has begun. The module is not loaded yet.
node_is_up()
{
	grep -qs "guest: marker" "node$1.console"
}

# qemu_comes_up NODE PID: waits for the guest's init. Fails when QEMU ends sooner, with $stalled
# set when the guest has said nothing for too long.
qemu_comes_up()
{
	local size last='' since=$SECONDS
	stalled=
	until node_is_up "$1"; do
		kill -0 "$2" 2> /dev/null || return 1
		size=$(stat -c %s "node$1.console" 2> /dev/null)
		if [ "$size" != "$last" ]; then
			last=$size since=$SECONDS
		elif [ $((SECONDS - since)) -ge "$boot_silence" ]; then
			stalled=1
			return 1
		fi
		sleep 0.2
	done
	: > "up$1"
}

# qemu_boot NODE: runs QEMU, and again when QEMU itself is at fault before the guest's init runs,
# where nothing of ours is in the guest yet: an assertion of the emulator (iotlb_to_section, seen
# once in some hundreds of boots), or both CPUs halted without the timer interrupt that would wake
# them (seen once in some thousand).
qemu_boot()
{
	local n=$1 try status pid
	mkfifo "control$n.in" "control$n.out" "monitor$n.in" "monitor$n.out"
	for try in 1 2 3; do
		: > "node$n.console"
		(qemu_start "$n") & pid=$!
		qemu_comes_up "$n" "$pid" || [ -z "$stalled" ] || kill -KILL "$pid"
		status=0
		wait "$pid" 2> /dev/null || status=$?
		if [ "$stalled" ]; then
			say "node $n: the guest stood still in boot $try"
		elif [ $status = 134 ] && ! node_is_up "$n"; then
			say "node $n: QEMU aborted in boot $try: $(tail -n 1 "node$n.qemu")"
		else
			break
		fi
		cp "node$n.console" "node$n.console.boot$try"
	done
	return $status
}

# qemu_start NODE: becomes QEMU. Descriptors 3 and 4 take the command's output.
qemu_start()
{
	local n=$1 args=() scratch=()
	local append="console=ttyS0 loglevel=6 log_buf_len=4M"
	# An emulator on a busy machine is slow; that is no fault of a test.
	append+=" rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=30 no_timer_check"
	append+=" sysrq_always_enabled tsc=reliable cryptomgr.notests"
	append+=" panic=-1"
	[ -z "$pmem" ] || append+=" memmap=${pmem}M!128M"
	[ -z "$panic" ] || append+=" oops=panic panic_on_warn=1"
	mapfile -t args < <(
		qemu_9p job "$run_dir/job$n" ,readonly=on
		qemu_9p build "$top/build" ,readonly=on
		qemu_9p out "$out" ""
		echo -device; echo virtio-serial-pci
		qemu_port verdict "file,id=verdict,path=verdict$n"
		qemu_port control "pipe,id=control,path=control$n"
		[ "$n" = 2 ] || {
			printf '%s\n' -add-fd fd=3,set=1 -add-fd fd=4,set=2
			qemu_port stdout file,id=stdout,path=/dev/fdset/1,append=on
			qemu_port stderr file,id=stderr,path=/dev/fdset/2,append=on
		}
		[ "$nodes" = 1 ] || {
			qemu_net "$n" data "52:54:00:00:00:0$n" "$nic"
			qemu_net "$n" ctl "52:54:00:00:01:0$n" virtio_net
		}
	)
	if [ "$disk" ]; then
		truncate -s "${disk}M" "disk$n"
		mapfile -t scratch < <(printf '%s\n' \
			-drive "if=none,id=scratch,file=disk$n,format=raw,cache=unsafe,discard=unmap" \
			-device virtio-blk-pci,drive=scratch)
	fi
	# A killed run must not leave an emulator behind.
	TMPDIR=$run_dir exec setpriv --pdeathsig KILL qemu-system-x86_64 -name "node$n" \
		-nodefaults -no-user-config -display none -no-reboot \
		-M pc -accel tcg,thread=multi -cpu "$cpu" -smp 2 -m "$mem" \
		-kernel "${kernel_dir[n]}/vmlinux" -initrd "${initramfs[n]}" \
		-append "$append" -serial "file:node$n.console" \
		-chardev "pipe,id=monitor,path=monitor$n" -monitor chardev:monitor \
		-drive "if=none,id=root,file=${rootfs[n]},format=raw,snapshot=on,cache=unsafe" \
		-device virtio-blk-pci,drive=root \
		-drive "if=none,id=modules,file=${kernel_dir[n]}/modules.img,format=raw,readonly=on" \
		-device virtio-blk-pci,drive=modules "${scratch[@]}" \
		"${args[@]}" > "node$n.qemu" 2>&1 < /dev/null
}

# qemu_show_tasks: for the log of a run that hangs.
qemu_show_tasks()
{
	local n
	for ((n = 1; n <= nodes; n++)); do
		echo "sendkey alt-sysrq-t" > "monitor$n.in"
	done
	sleep 2
}

# node_splat NODE: shows the first splat on its console with what follows.
node_splat()
{
	grep -m1 -A40 -E -f "$vm_dir/guest/splats" "node$1.console" >&2
}

# node_report NODE: says what was wrong with it, if anything.
node_report()
{
	local n=$1
	if ! grep -qx end "verdict$n" 2> /dev/null; then
		say "node $n died"
		cat "node$n.qemu" >&2
		node_splat "$n" || tail -n 20 "node$n.console" >&2
		return 1
	fi
	if grep -q '^problem' "verdict$n"; then
		sed -n "s/^problem /node $n: /p" "verdict$n" >&2
		return 1
	fi
}
