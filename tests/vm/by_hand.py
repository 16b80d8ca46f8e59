"""The virtual servers of golden cases as one would type them in: arguments of ipvsadm, written by somebody else."""

from __future__ import annotations

NAT = """
-A -t 192.0.2.3:80 -s wlc
-a -t 192.0.2.3:80 -r 10.0.0.7:8080 -m -w 1
-a -t 192.0.2.3:80 -r 10.0.0.8:8080 -m -w 1
-A -t [2001:db8::3]:80 -s wlc
-a -t [2001:db8::3]:80 -r [fd00:0:0:1::7]:8080 -m -w 1
-a -t [2001:db8::3]:80 -r [fd00:0:0:1::8]:8080 -m -w 1
--start-daemon master --mcast-interface eth1 --syncid 77
--start-daemon backup --mcast-interface eth1 --syncid 77
"""

DR = """
-A -t 10.0.0.3:80 -s wrr -p 600 -M 255.255.255.0
-a -t 10.0.0.3:80 -r 10.0.0.7:80 -g -w 1
-a -t 10.0.0.3:80 -r 10.0.0.8:80 -g -w 2 -x 1000 -y 800
-A -t [fd00:0:0:1::3]:80 -s wrr -p 600 -M 64
-a -t [fd00:0:0:1::3]:80 -r [fd00:0:0:1::7]:80 -g -w 1
-a -t [fd00:0:0:1::3]:80 -r [fd00:0:0:1::8]:80 -g -w 2 -x 1000 -y 800
--start-daemon master --mcast-interface eth0 --syncid 77
--start-daemon backup --mcast-interface eth0 --syncid 77
"""

TUN = (
    "".join(
        f"""
-A -t {vip}:80 -s wlc
-a -t {vip}:80 -r {one}:80 -i -w 1
-a -t {vip}:80 -r {two}:80 -i -w 1
-A -t {vip}:81 -s wlc
-a -t {vip}:81 -r {one}:81 -i -w 1 --tun-type gre --tun-nocsum
-A -t {vip}:83 -s wlc
-a -t {vip}:83 -r {one}:83 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-A -t {vip}:84 -s wlc
-a -t {vip}:84 -r {two}:84 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
"""
        for vip, one, two in (
            ("10.0.0.3", "10.9.0.7", "10.9.0.8"),
            ("[fd00:0:0:1::3]", "[fd00:0:0:9::7]", "[fd00:0:0:9::8]"),
        )
    )
    + """
--start-daemon master --mcast-interface eth0 --syncid 77
--start-daemon backup --mcast-interface eth0 --syncid 77
"""
)

_PLAIN = {
    8001: ("rr", 1), 8002: ("wrr", 3), 8003: ("lc", 1), 8004: ("wlc", 3), 8005: ("lblc", 1), 8006: ("lblcr", 1),
    8007: ("dh", 1), 8008: ("sed", 3), 8009: ("nq", 3), 8010: ("fo", 3), 8011: ("ovf", 3),
}  # fmt: skip
SCHEDULERS = "".join(
    f"""
-A -t 10.0.0.3:{port} -s {name}
-a -t 10.0.0.3:{port} -r 10.0.0.7:{port} -g -w {weight}
-a -t 10.0.0.3:{port} -r 10.0.0.8:{port} -g -w 1
"""
    for port, (name, weight) in _PLAIN.items()
) + "".join(
    f"""
-A {kind} {vip}:{port} -s {scheduler}
-a {kind} {vip}:{port} -r {net}7{end}:{port} -g -w 1
-a {kind} {vip}:{port} -r {net}8{end}:{port} -g -w 1
"""
    for vip, net, end, services in (
        (
            "10.0.0.3", "10.0.0.", "",
            (
                ("-t", 9001, "sh"), ("-t", 9002, "sh -b sh-port"), ("-t", 9003, "sh -b sh-port,sh-fallback"),
                ("-t", 9004, "mh -b mh-fallback"), ("-t", 9006, "mh -b mh-fallback,mh-port"),
                ("-u", 53, "rr -o"), ("--sctp-service", 3868, "wlc"),
            ),
        ),
        (
            "[fd00:0:0:1::3]", "[fd00:0:0:1::", "]",
            (
                ("-t", 9001, "sh"), ("-t", 9004, "mh -b mh-fallback"), ("-t", 9005, "mh -b mh-fallback"),
                ("-u", 53, "rr -o"), ("--sctp-service", 3868, "wlc"),
            ),
        ),
    )
    for kind, port, scheduler in services
) + """
--start-daemon master --mcast-interface eth0 --syncid 77
--start-daemon backup --mcast-interface eth0 --syncid 77
"""  # fmt: skip

MARKS = """
-A -f 4800001 -s wlc
-a -f 4800001 -r 10.0.0.7:9000 -m -w 1
-a -f 4800001 -r 10.0.0.8:9000 -m -w 1
-A -f 4800002 -s wlc
-a -f 4800002 -r 10.0.0.7 -m -w 1
-a -f 4800002 -r 10.0.0.8 -m -w 1
-A -f 4800002 -6 -s wlc
-a -f 4800002 -6 -r [fd00:0:0:1::7]:0 -m -w 1
-a -f 4800002 -6 -r [fd00:0:0:1::8]:0 -m -w 1
-A -f 4800003 -s wlc -p 300 -M 255.255.255.0
-a -f 4800003 -r 10.0.0.7 -m -w 2
-a -f 4800003 -r 10.0.0.8 -m -w 1
-A -f 4800004 -s wlc
-a -f 4800004 -r 10.0.0.7 -m -w 1
-A -f 4800004 -6 -s wlc
-a -f 4800004 -6 -r [fd00:0:0:1::7]:0 -m -w 1
-A -t 192.0.2.3:21 -s wlc
-a -t 192.0.2.3:21 -r 10.0.0.7:2121 -m -w 1
-A -t 192.0.2.4:22 -s wlc
-a -t 192.0.2.4:22 -r 10.0.0.7:2121 -m -w 1
-A -f 7 -s wlc
-a -f 7 -r 10.0.0.7 -m -w 1
-a -f 7 -r 10.0.0.8 -m -w 1
-A -f 7 -6 -s wlc
-a -f 7 -6 -r [fd00:0:0:1::7]:0 -m -w 1
-a -f 7 -6 -r [fd00:0:0:1::8]:0 -m -w 1
--start-daemon master --mcast-interface eth1 --syncid 12
--start-daemon backup --mcast-interface eth1 --syncid 12
"""

DUAL_MASTER = """
-A -t 10.0.0.3:80 -s wlc
-a -t 10.0.0.3:80 -r 10.0.0.7:80 -g -w 1
-a -t 10.0.0.3:80 -r 10.0.0.8:80 -g -w 1
-A -t 10.0.0.4:443 -s wlc
-a -t 10.0.0.4:443 -r 10.0.0.7:443 -g -w 1
-a -t 10.0.0.4:443 -r 10.0.0.8:443 -g -w 1
--start-daemon master --mcast-interface eth1 --syncid 77
--start-daemon backup --mcast-interface eth1 --syncid 77
"""

WITHOUT_SYNC = """
-A -t [fd00:0:0:1::3]:80 -s wlc -p 3600
-a -t [fd00:0:0:1::3]:80 -r [fd00:0:0:1::7]:80 -g -w 1
-a -t [fd00:0:0:1::3]:80 -r [fd00:0:0:1::8]:80 -g -w 1
"""

TABLES = {
    "lvs-nat": NAT,
    "lvs-dr": DR,
    "lvs-tun": TUN,
    "lvs-schedulers": SCHEDULERS,
    "lvs-marks": MARKS,
    "lvs-dual-master": DUAL_MASTER,
    "lvs-without-sync": WITHOUT_SYNC,
}
