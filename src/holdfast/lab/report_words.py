"""The report's words in Chinese and English."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Words(NamedTuple):
    """The same in both languages."""

    en: str
    zh: str


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
    "live": "到虚拟服务器的存活连接（持续多秒的缓慢下载，每个字节事先已知）：事件发生时有多少个，"
    "有多少个提前结束，以及沉默后又继续的连接最长沉默了多久；"
    "untold：同样提前结束，但在调度器失联前 3 秒内才建立，内核尚未同步给其他调度器",
    "share": "在无干扰的流量中，每台真实服务器应答的新连接，与按权重应得的份额相比",
    "client_late_s": "客户端自身未能按时运行的时间：说明机器繁忙，而不是集群的问题",
}

REASONS = {
    "holders": Words(
        "{address}: {wanted} should hold it at the end, {actual} does",
        "{address}：最终应由{wanted}持有，实际由{actual}持有",
    ),
    "never": Words("{address} was taken over by nobody", "{address} 始终没有节点接管"),
    "failover": Words(
        "failover took {took} ms, the objective is {limit} ms",
        "切换用了 {took} 毫秒，目标是 {limit} 毫秒",
    ),
    "gap": Words(
        "{listener} gave no answer for {took} ms, the objective is {limit} ms",
        "{listener} 有 {took} 毫秒没有应答，目标是 {limit} 毫秒",
    ),
    "lost": Words("{count} requests failed, the objective is {limit}", "{count} 个请求失败，目标是 {limit} 个"),
    "cut": Words(
        "{count} live connections were cut, the objective is {limit}", "{count} 个存活连接被切断，目标是 {limit} 个"
    ),
    "drained": Words(
        "{count} new connections went to {server}, which is drained", "有 {count} 个新连接到达已排空的 {server}"
    ),
    "double": Words(
        "two nodes held {addresses} for {took} ms, the objective is {limit} ms",
        "两个节点同时持有 {addresses} 达 {took} 毫秒，目标是 {limit} 毫秒",
    ),
}

SUBSTITUTIONS = {
    "process": Words(
        "process: {names} is watched by a script each second and by a file that the supervisor sets when its child"
        " dies, not by keepalived's track_process: namespaces get no process events from the kernel.",
        "process: {names} 由每秒一次的脚本来监视，子进程死亡时监管进程还会写入一个文件；"
        "不用 keepalived 的 track_process：内核不会把进程事件告知命名空间。",
    ),
    "scripts": Words(
        "scripts out of the nodes' policies ({names}) are played by stand-ins, which succeed until the fault"
        " fail_script makes them fail: the real ones are not run in a lab.",
        "节点策略中的脚本（{names}）由替身代替：替身总是成功，直到故障 fail_script 让它失败；"
        "真正的脚本不会在演练环境中运行。",
    ),
    "hooks": Words(
        "hooks out of the nodes' policies ({names}) are played by stand-ins, which do nothing: the real ones are not"
        " run in a lab.",
        "节点策略中的钩子（{names}）由什么也不做的替身代替；真正的钩子不会在演练环境中运行。",
    ),
    "nodes": Words(
        "The nodes are network namespaces on one machine: one kernel, one clock, and bridges without delay or loss.",
        "各节点是同一台机器上的网络命名空间：同一个内核、同一个时钟，网桥没有延迟也不丢包。",
    ),
    "services": Words(
        "Services run under the agent's own supervisor: there is no systemd in the nodes.",
        "服务由 agent 自带的监管进程运行：节点里没有 systemd。",
    ),
    "servers": Words(
        "The servers of pools and virtual servers are played by a small server that answers with its name.",
        "后端池和虚拟服务器的服务器由一个小型服务器扮演，它以自己的名字应答。",
    ),
    "machine": Words(
        "All of it ran in a virtual machine of the lab's own ({machine}), which is many times slower than a real one:"
        " it is asked less, and times are longer than they would be.",
        "全部在演练环境自带的虚拟机中运行（{machine}），它比真实机器慢许多倍：因此请求较少，各项时间也偏长。",
    ),
}


def said(words: Words, **values: object) -> Words:
    """The words with these values in them; what is Words itself is put into each language in its own."""
    english = {name: value.en if isinstance(value, Words) else value for name, value in values.items()}
    chinese = {name: value.zh if isinstance(value, Words) else value for name, value in values.items()}
    return Words(words.en.format(**english), words.zh.format(**chinese))


def nodes_in_words(names: Iterable[str]) -> Words:
    """`lb01 and lb02`, or that it is nobody."""
    found = list(names)
    return Words(" and ".join(found) or "nobody", "、".join(found) or "无人")
