"""What is sent where."""

from edge_agent.config.catalogue.entry import Entry

SELECTS_NOTHING = Entry(
    "E-CFG-340",
    "'{pattern}' names no tag",
    "'{pattern}' 没有对应的点",
    "{hint}Write DEVICE.TAG as the device files and tag tables name them; * stands for any characters.",
    "{hint}请按设备文件和点表中的名称写 设备.点名，* 代表任意字符。",
)
STREAM_NOT_TAKEN = Entry(
    "E-CFG-341",
    "a destination of type {type} takes no '{stream}'; it takes: {known}",
    "类型为 {type} 的上行通道不接收 '{stream}'，只接收：{known}",
    "Delete it from 'streams', or choose another type of uplink.",
    "请从 'streams' 中删除，或改用其他类型的上行通道。",
)
SAME_IDENTITY = Entry(
    "E-CFG-346",
    "'{key}' makes this uplink the same sender as uplink '{name}' ({other}): they would throw each other out",
    "'{key}' 使本上行通道与 '{name}'（{other}）成为同一个发送方：两者会互相踢下线",
    "Give each of the two its own {key}, or remove one.",
    "请给两者填写不同的 {key}，或删除其中一个。",
)
NO_EVENT_BODY = Entry(
    "E-CFG-345",
    "events are to be sent too, and there is no template for them",
    "还要发送事件，但没有事件模板",
    "Add 'event_body', or leave events out with 'streams: [samples, periods]'.",
    "请添加 'event_body'，或用 'streams: [samples, periods]' 不发送事件。",
)
