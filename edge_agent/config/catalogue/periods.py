"""Minute, hour and day values."""

from edge_agent.config.catalogue.entry import Entry

PERIOD_NO_TAG = Entry(
    "E-CFG-350",
    "'{pattern}' names no tag of {device}",
    "'{pattern}' 在 {device} 中没有对应的点",
    "{hint}Write a tag of this device; * stands for any characters.",
    "{hint}请填写本设备的点名；* 代表任意字符。",
)
PERIOD_TEXT = Entry(
    "E-CFG-351",
    "tag '{tag}' is text: it has no mean and no sum",
    "点 '{tag}' 是文本，没有平均值和累计值",
    "Choose tags that are numbers or on/off.",
    "请选择数值或开关量的点。",
)
PERIOD_TWICE = Entry(
    "E-CFG-352",
    "tag '{tag}' already has period values by {other}",
    "点 '{tag}' 的周期值已在 {other} 定义",
    "A tag has one rule: take it out of one of the two entries.",
    "每个点只能有一条规则：请从其中一项中删除。",
)
PERIOD_MINUTE = Entry(
    "E-CFG-353",
    "a minute value cannot be {found} long",
    "分钟值的时长不能为 {found}",
    "Write one of {known} minutes: whole parts of an hour, such as 10min.",
    "请填写 {known} 分钟之一（能整除一小时），例如 10min。",
)
PERIOD_MINUTES = Entry(
    "E-CFG-354",
    "the minute values of one device have one length, and {other} says {length}",
    "同一设备的分钟值时长必须一致，而 {other} 为 {length}",
    "Write the same 'minute' in every entry of this device.",
    "请在本设备的各项中填写相同的 'minute'。",
)
PERIOD_TOO_MANY = Entry(
    "E-CFG-355",
    "'{key}' asks for {found}, but there are only {most} in one {whole}",
    "'{key}' 要求 {found} 个，但每{whole}只有 {most} 个",
    "Write at most {most}.",
    "请填写不大于 {most} 的数。",
)
PERIOD_RARE = Entry(
    "E-CFG-356",
    "tag '{tag}' is polled every {period}: a minute value of {length} cannot have {wanted} samples",
    "点 '{tag}' 每 {period} 采集一次：{length} 的分钟值不可能有 {wanted} 个数据",
    "Poll it more often, choose a longer 'minute', or lower 'min_samples'.",
    "请提高采集频率、加长 'minute'，或减小 'min_samples'。",
)
PERIOD_COUNTER_KEY = Entry(
    "E-CFG-357",
    "'{key}' means nothing for the counter '{tag}'",
    "'{key}' 对计数器 '{tag}' 没有意义",
    "A counter has an increase per period and no mean: give it an entry of its own without this key.",
    "计数器只有周期增量，没有平均值：请为其单列一项并删除此键。",
)
PERIOD_REFERENCE = Entry(
    "E-CFG-358",
    "there is no tag '{name}'",
    "没有点 '{name}'",
    "{hint}Write TAG of this device, or DEVICE.TAG.",
    "{hint}请填写本设备的点名，或“设备.点”。",
)
PERIOD_REFERENCE_TEXT = Entry(
    "E-CFG-359",
    "tag '{tag}' is of type {type}; '{key}' needs {wanted}",
    "点 '{tag}' 的类型为 {type}，而 '{key}' 需要{wanted}",
    "Name another tag.",
    "请填写其他点。",
)
W_PERIOD_MARGIN = Entry(
    "W-CFG-360",
    "tag '{tag}' is polled every {period}: one lost sample, and its minute is not valid",
    "点 '{tag}' 每 {period} 采集一次：丢失一个数据，该分钟值即无效",
    "Poll it more often: a little faster than 'min_samples' needs.",
    "请提高采集频率，使其略高于 'min_samples' 的要求。",
)
W_PERIOD_SPACE = Entry(
    "W-CFG-361",
    "to keep the period values that long takes {needed}; the oldest go at {most}",
    "按此时长保存周期值需要 {needed}；达到 {most} 时删除最旧的数据",
    "Write 'periods_quota: {needed}' under 'buffer' if the disk has it, or choose fewer tags.",
    "磁盘足够时请在 'buffer' 下写 'periods_quota: {needed}'，否则请减少点数。",
)
