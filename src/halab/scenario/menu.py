"""What random drills draw from: faults that a healthy stack survives wherever they hit, each with whom it may hit.

Not in it: what a person has to mend (corrupt), what plants a defect (config), and what is no fault (switchover).
"""

from __future__ import annotations

from typing import Final

from halab.scenario.chance import Choice

ANY: Final = ("patroni", "etcd", "redis", "haproxy")
MOMENT: Final = (1, 2)

MENU: Final = (
    Choice("power", ANY),
    Choice("power_loss", ANY),
    Choice("freeze", ANY),
    Choice("reset", ANY, hold=MOMENT),
    Choice("process", ("leader", "patroni"), {"kind": "kill", "process": "postmaster"}, MOMENT),
    Choice("process", ("leader", "patroni"), {"kind": "kill", "process": "backend", "largest": True}, MOMENT),
    Choice("process", ("leader", "patroni"), {"kind": "stop", "process": "postmaster"}),
    Choice("process", ("leader", "patroni"), {"kind": "kill", "process": "patroni"}, MOMENT),
    Choice("process", ("leader", "patroni"), {"kind": "stop", "process": "patroni"}),
    Choice("process", ("etcd_leader", "etcd"), {"kind": "kill", "process": "etcd"}, MOMENT),
    Choice("process", ("etcd_leader", "etcd"), {"kind": "stop", "process": "etcd"}),
    Choice("process", ("redis_master", "redis"), {"kind": "kill", "process": "redis"}, MOMENT),
    Choice("process", ("haproxy_active", "haproxy"), {"kind": "kill", "process": "haproxy"}, MOMENT),
    Choice("service", ("leader", "patroni"), {"kind": "stop", "unit": "patroni.service"}),
    Choice("service", ("etcd_leader", "etcd"), {"kind": "stop", "unit": "etcd.service"}),
    Choice("service", ("haproxy_active", "haproxy"), {"kind": "stop", "unit": "haproxy.service"}),
    Choice("partition", ("leader", "patroni"), {"peers": "others"}),
    Choice("partition", ("leader", "patroni"), {"peers": "others", "direction": "in"}),
    Choice("partition", ("leader", "patroni"), {"peers": "etcd", "ports": "dcs"}),
    Choice("partition", ("etcd_leader", "etcd"), {"peers": "etcd"}),
    Choice("partition", ("redis_master", "redis"), {"peers": "redis", "ports": "redis"}),
    Choice("flapping", ("leader", "patroni", "etcd"), {"period": 4, "duty": 0.5}),
    Choice("disk", ("leader", "patroni"), {"kind": "full", "area": "data", "reserved": "taken"}),
    Choice("disk", ("etcd_leader", "etcd"), {"kind": "sync_delay", "unit": "etcd.service", "delay_ms": 300}),
    Choice("pressure", ANY, {"kind": "cpu_burn"}),
    Choice("pressure", ANY, {"kind": "memory_hog", "bytes": 500_000_000}),
    Choice("limits", ANY, {"cpu": 20}),
    Choice("clock", ("leader", "patroni"), {"unit": "patroni.service", "offset": "-10m"}),
)
