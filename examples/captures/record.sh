#!/bin/sh
# Records network.pcap: what two hosts say to each other, in two network namespaces that this script makes
# and removes. HTTP, DNS, ping, IPv6, VLANs (also two tags), fragments, a refused connection. Nothing leaves
# the machine. Needs root, iproute2, tcpdump, python3, curl, dig and ping. Then to-pcapng.ts converts it.
#
#   client 192.0.2.1, 2001:db8::1   <── veth ──>   192.0.2.2, 2001:db8::2 server
#   VLAN 42: 198.51.100.0/24     802.1ad tag 7 around VLAN 43: 203.0.113.0/24
set -eu
cd "$(dirname "$0")"
client=skep-client-$$
server=skep-server-$$
work=$(mktemp -d)

cleanup() {
	for ns in "$client" "$server"; do
		for pid in $(ip netns pids "$ns" 2>/dev/null); do kill "$pid"; done
		ip netns del "$ns" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

on() { # on NAMESPACE COMMAND…
	ns=$1
	shift
	ip netns exec "$ns" "$@"
}

# VLANs, also for a kernel without the 8021q module: what the host sends to a tap device leaves eth0 with the
# tags in front, and what comes in with them goes back to the tap device without.
cat >"$work/vlan.py" <<'PY'
import fcntl, os, select, socket, struct, sys
SOL_PACKET, PACKET_AUXDATA, TUNSETIFF, IFF_TAP, IFF_NO_PI = 263, 8, 0x400454CA, 2, 0x1000
name, tags = sys.argv[1].encode(), bytes.fromhex(sys.argv[2])
tap = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH', name, IFF_TAP | IFF_NO_PI))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
wire.bind(('eth0', 3))
while True:
    for ready in select.select([tap, wire], [], [])[0]:
        if ready is tap:
            frame = os.read(tap, 2048)
            wire.send(frame[:12] + tags + frame[12:])
            continue
        frame, extra, _, sender = wire.recvmsg(2048, 256)
        if sender[2] == socket.PACKET_OUTGOING:
            continue
        for level, what, data in extra:  # the kernel has taken the outer tag off
            status, _, _, _, _, tci, proto = struct.unpack('IIIHHHH', data)
            if status & 0x10:
                frame = frame[:12] + struct.pack('!HH', proto, tci) + frame[12:]
        if frame[12:12 + len(tags)] == tags:
            os.write(tap, frame[:12] + frame[12 + len(tags):])
PY

# Hosts ------------------------------------------------------------------------------------------------
ip netns add "$client"
ip netns add "$server"
for ns in "$client" "$server"; do # only the packets that are asked for
	on "$ns" sysctl -q net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.default.addr_gen_mode=1
done
ip link add eth0 netns "$client" address 02:00:00:00:00:01 type veth \
	peer name eth0 netns "$server" address 02:00:00:00:00:02
n=1
for ns in "$client" "$server"; do
	on "$ns" ip link set lo up
	on "$ns" ip link set eth0 up
	for vlan in 42:8100002a 43:88a800078100002b; do
		tap=vlan${vlan%:*}
		on "$ns" ip tuntap add "$tap" mode tap
		on "$ns" ip link set "$tap" address "02:00:00:00:00:0$n" mtu 1400 up
		on "$ns" python3 "$work/vlan.py" "$tap" "${vlan#*:}" &
	done
	on "$ns" ip addr add "192.0.2.$n/24" dev eth0
	on "$ns" ip addr add "2001:db8::$n/64" dev eth0 nodad
	on "$ns" ip addr add "198.51.100.$n/24" dev vlan42
	on "$ns" ip addr add "203.0.113.$n/24" dev vlan43
	# No offloads: packets as a wire would have them, at most an MTU long and with checksums.
	on "$ns" python3 - <<'PY'
import ctypes, fcntl, socket, struct
SIOCETHTOOL = 0x8946
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for command in (0x15, 0x17, 0x1F, 0x24, 0x2C):  # set rx/tx checksums, TSO, GSO, GRO
        value = ctypes.create_string_buffer(struct.pack('II', command, 0))
        request = struct.pack('16sP', b'eth0', ctypes.addressof(value))
        try:
            fcntl.ioctl(s, SIOCETHTOOL, request)
        except OSError:
            pass  # not on this device
PY
	n=$((n + 1))
done

# Services ---------------------------------------------------------------------------------------------
mkdir "$work/www"
for i in $(seq 1 60); do echo "<p>Line $i of a page that is longer than one packet.</p>"; done >"$work/www/index.html"
on "$server" python3 -m http.server 80 --bind :: --directory "$work/www" >/dev/null 2>&1 &
cat >"$work/dns.py" <<'PY'
"""Answers every A and AAAA question with the server's address."""
import socket
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    s.bind(('::', 53))
    while True:
        query, peer = s.recvfrom(512)
        end = query.index(0, 12) + 1
        kind = int.from_bytes(query[end:end + 2], 'big')
        address = {1: socket.inet_aton('192.0.2.2'), 28: socket.inet_pton(socket.AF_INET6, '2001:db8::2')}[kind]
        header = query[:2] + bytes.fromhex('8580 0001 0001 0000 0000')
        answer = b'\xc0\x0c' + query[end:end + 4] + (300).to_bytes(4, 'big') + len(address).to_bytes(2, 'big') + address
        s.sendto(header + query[12:end + 4] + answer, peer)
PY
on "$server" python3 "$work/dns.py" &
on "$server" python3 -c "
import socket
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    s.bind(('::', 5000))
    while True: s.recv(65536)" &
sleep 1

# Traffic ----------------------------------------------------------------------------------------------
ip netns exec "$server" tcpdump -q -i eth0 --immediate-mode -s 0 -U -Z root -w "$work/network.pcap" 2>/dev/null &
tcpdump=$!
sleep 1
curl="curl -s -o /dev/null --max-time 5"
on "$client" dig +short +nocookie @192.0.2.2 www.skep.example A >/dev/null
on "$client" dig +short +nocookie @192.0.2.2 www.skep.example AAAA >/dev/null
on "$client" $curl http://192.0.2.2/
on "$client" ping -q -c 2 -i 0.2 192.0.2.2 >/dev/null
on "$client" ping -q -c 2 -i 0.2 -6 2001:db8::2 >/dev/null
on "$client" dig +short +nocookie @2001:db8::2 www.skep.example AAAA >/dev/null
on "$client" $curl 'http://[2001:db8::2]/'
on "$client" $curl https://192.0.2.2/ || true # nobody listens: refused
on "$client" $curl http://198.51.100.2/none   # in VLAN 42: 404
on "$client" ping -q -c 1 203.0.113.2 >/dev/null
on "$client" ping -q -c 1 -s 3000 192.0.2.2 >/dev/null # three fragments each way
on "$client" python3 -c "
import socket
for host in ('192.0.2.2', '2001:db8::2'):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.sendto(bytes(2000), (host, 5000))"
sleep 1
kill "$tcpdump"
wait "$tcpdump" || true
mv "$work/network.pcap" network.pcap
chmod 644 network.pcap
ls -l network.pcap
