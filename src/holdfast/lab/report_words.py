"""The report's words in Chinese and English."""

from __future__ import annotations

VERDICTS = {
    "pass": ("passed", "通过"),
    "fail": ("failed", "未通过"),
    "info": ("reported", "仅报告"),
}

KINDS = {
    "node_lost": ("node lost", "节点失联"),
    "node_frozen": ("node frozen", "节点冻结"),
    "service_lost": ("service lost", "服务失效"),
    "link_lost": ("link lost", "链路中断"),
    "partition": ("partition", "网络分区"),
    "backend_lost": ("backend lost", "后端失效"),
    "planned": ("planned change", "计划内变更"),
    "refused": ("refused change", "被拒绝的变更"),
    "disk_full": ("disk full", "磁盘写满"),
    "recovery": ("recovery", "恢复"),
    "wait": ("steady", "平稳运行"),
}

MEANING_ZH = {
    "holders": "内核在一条连通的网卡上带有该地址的节点（来自 netlink 事件，与 `ip address` 一致）",
    "carried": "节点的网卡上有该地址，包括被冻结或被隔离的节点",
    "answered": "有 MAC 地址回应了 ARP 请求或邻居请求；每 50 毫秒询问一次，询问者的 MAC 不属于任何人",
    "failover_s": "从故障发生（或下达切换命令）到另一个节点带上该地址，取本步骤最后一个地址；"
    "null 表示无需切换，或始终没有切换（此时该步骤不通过）",
    "sent": "在本步骤中结束的请求；步骤持续到下一步开始。"
    "故障发生时还在途中的请求算作该故障的受害者；每一步都会等到自己的受害者结束",
    "failed": "在客户端时限内没有得到状态码低于 400 的完整应答；SYN 会照常重发",
    "repeated": "复用的连接在应答的第一个字节之前被关闭，GET 在新连接上重发一次，与浏览器相同；只计数，不算失败",
    "longest_gap_s": "在最差的监听端口上，新连接得不到成功应答的最长时间",
    "double_holder_s": "两个节点同时在连通的链路上持有同一地址的时间，取最差的地址",
    "double_carried_s": "同上，但包括被冻结或被隔离的节点：它仍带有地址，但没有人能听到它",
    "answered_twice_s": "同一轮询问中有两个 MAC 地址回应同一地址的时间",
    "client_late_s": "客户端自身未能按时运行的时间：说明机器繁忙，而不是集群的问题",
}
