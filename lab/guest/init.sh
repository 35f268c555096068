#!/bin/bash
# First process of the guest. Started on the host's root file system (hostfs, read-only), it lays a tmpfs overlay on it and goes
# on inside, so that nothing the guest does reaches the host, save below /host and /run/lab.
#   /host      the folder of `lab run --share`      /lab       the lab's folder, read-only
#   /run/lab   config, env, job and status: what the host side and this script talk by
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LIBMOUNT_FORCE_MOUNT2=always

word() { local w; for w in $(< /proc/cmdline); do case $w in "$1"=*) echo "${w#*=}" ;; esac; done; }
hostfs() { mount -t hostfs -o "$3$1" none "$2" 2>/dev/null || mount -t hostfs -o "${3}hostfs=$1" none "$2"; }

end() {                     # end STATUS: hand it to the host and power off
  echo "$1" > /run/lab/status
  sync
  echo o > /proc/sysrq-trigger
  sleep 10
}

if [ "$1" != inside ]; then
  mount -t proc proc /proc
  state=$(word lab.state)
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir /run/upper /run/work /run/root
  mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work overlay /run/root || echo "lab: no overlay"
  exec chroot /run/root /bin/bash "$state/init.sh" inside
fi

mount -t proc proc /proc
state=$(word lab.state)
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /host /lab
ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lab /run/lock
hostfs "$state" /run/lab
mount -t configfs configfs /sys/kernel/config
mount -t debugfs debugfs /sys/kernel/debug
. /run/lab/config
hostfs "$lab_share" /host
hostfs "$lab_dir" /lab ro,
mkdir -p "/lib/modules/$(uname -r)"
hostfs "$lab_kernel/modules" "/lib/modules/$(uname -r)" ro,
echo halyard-lab > /proc/sys/kernel/hostname

for module in labbus:i2c_nr=1:spi_nr=0 labw1 labpwm labirq; do
  IFS=: read -r -a words <<< "$module"
  insmod "/lib/modules/$(uname -r)/${words[0]}.ko" "${words[@]:1}" || echo "lab: cannot load ${words[0]}"
done
ip link set lo up

if [ "$lab_mode" = shell ]; then
  read -r rows cols < /run/lab/size && stty rows "$rows" cols "$cols" < /dev/tty0
  setsid -c bash -c '. /run/lab/env; exec bash -i' < /dev/tty0 > /dev/tty0 2>&1
  end $?
fi
# Standard output and error are pipes to the command, as on the host, and tty1 and tty2 (raw) to the outside.
stty raw -echo < /dev/tty1
stty raw -echo < /dev/tty2
mkfifo /run/out /run/err
cat /run/out > /dev/tty1 & out=$!
cat /run/err > /dev/tty2 & err=$!
# Not a session leader: opening a serial line must not make it the command's controlling terminal.
# The outer bash would report the end by a signal on stderr; only the command writes there.
setsid -w bash -c 'bash /run/lab/job 2>&3 3>&-; exit $?' < /dev/null > /run/out 3> /run/err 2> /dev/null
status=$?
# What the command left running may hold the pipes open: it does not hold up the end.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  kill -0 $out 2>/dev/null || kill -0 $err 2>/dev/null || break
  sleep 0.1
done
end $status
