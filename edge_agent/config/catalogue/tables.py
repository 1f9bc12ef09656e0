"""Mistakes in tag tables."""

from edge_agent.config.catalogue.entry import Entry

W_GBK = Entry(
    "W-CFG-050",
    "the table is not UTF-8; it was read as {encoding}",
    "表格不是 UTF-8 编码，已按 {encoding} 读取",
    "Save it as 'CSV UTF-8'; then no character can be misread.",
    "请另存为“CSV UTF-8”，避免乱码。",
)
NOT_CSV = Entry(
    "E-CFG-051",
    "this is not a CSV table but {what}",
    "这不是 CSV 表格，而是{what}",
    "Open it in Excel or WPS and save it as 'CSV UTF-8'.",
    "请用 Excel 或 WPS 打开，另存为“CSV UTF-8”。",
)
EMPTY_TABLE = Entry(
    "E-CFG-052",
    "the table has no {what}",
    "表格没有{what}",
    "The first line names the columns (name,address,type), each further line is one tag.",
    "第一行写列名（name,address,type），之后每行一个点。",
)
UNKNOWN_COLUMN = Entry(
    "E-CFG-053",
    "unknown column '{column}'",
    "未知的列 '{column}'",
    "{hint}Columns: {known}.",
    "{hint}可用的列：{known}。",
)
MISSING_COLUMN = Entry(
    "E-CFG-054",
    "column '{column}' is missing",
    "缺少列 '{column}'",
    "Add it to the first line; name, address and type are needed.",
    "请在第一行添加；name、address、type 三列必须有。",
)
DUPLICATE_COLUMN = Entry(
    "E-CFG-055",
    "column '{column}' stands twice",
    "列 '{column}' 重复",
    "Remove one of the two.",
    "请删除其中一列。",
)
EXTRA_CELL = Entry(
    "E-CFG-056",
    "the line has {found} cells, the table has {wanted} columns",
    "这一行有 {found} 个单元格，而表格只有 {wanted} 列",
    "Put text that contains the separator in double quotes.",
    "含有分隔符的文字请加英文双引号。",
)
EMPTY_CELL = Entry(
    "E-CFG-057",
    "'{column}' is empty",
    "'{column}' 为空",
    "Fill it in, or delete the whole line.",
    "请填写，或删除整行。",
)
DUPLICATE_TAG = Entry(
    "E-CFG-058",
    "tag '{name}' is already in line {line}",
    "点 '{name}' 已在第 {line} 行出现",
    "Give one of the two another name.",
    "请给其中一个换名称。",
)
BAD_TYPE = Entry(
    "E-CFG-059",
    "'{found}' is not a data type",
    "'{found}' 不是数据类型",
    "{hint}Types: {known}.",
    "{hint}可用类型：{known}。",
)
BAD_NUMBER = Entry(
    "E-CFG-060",
    "'{found}' in column {column} is not a number",
    "{column} 列的 '{found}' 不是数字",
    "{hint}Write a number with a decimal point, without unit and without thousands separator.",
    "{hint}请写数字，小数点用 '.'，不带单位和千位分隔符。",
)
EXCEL_ADDRESS = Entry(
    "E-CFG-061",
    "address '{found}' was changed by the spreadsheet program ({what})",
    "地址 '{found}' 被表格软件改写了（{what}）",
    "Format the column as text and type the address again{guess}.",
    "请把该列设为“文本”格式后重新输入地址{guess}。",
)
BAD_YES_NO = Entry(
    "E-CFG-062",
    "'{found}' in column {column} is neither yes nor no",
    "{column} 列的 '{found}' 不是 yes 或 no",
    "Write yes or no; empty means no.",
    "请写 yes（是）或 no（否）；空白表示否。",
)
ZERO_SCALE = Entry(
    "E-CFG-063",
    "scale is 0: every value of '{tag}' would be the same",
    "倍率为 0：'{tag}' 的所有值都会相同",
    "Write the factor from raw to engineering value, for example 0.1.",
    "请填写原始值到工程值的倍率，例如 0.1。",
)
SCALED_TEXT = Entry(
    "E-CFG-064",
    "tag '{tag}' of type {type} cannot have column {column}",
    "{type} 类型的点 '{tag}' 不能填写 {column} 列",
    "Empty the cell, or correct the type.",
    "请清空该单元格，或改正数据类型。",
)
RANGE_PART = Entry(
    "E-CFG-066",
    "the range of tag '{tag}' is not whole; empty: {missing}",
    "点 '{tag}' 的量程不完整：{missing} 为空",
    "Fill in raw_low, raw_high, eng_low and eng_high, or empty all four.",
    "请填写 raw_low、raw_high、eng_low、eng_high 四列，或全部清空。",
)
RANGE_EMPTY = Entry(
    "E-CFG-067",
    "{low} and {high} of tag '{tag}' are both {number}",
    "点 '{tag}' 的 {low} 与 {high} 都是 {number}",
    "Write the two ends of the range, for example 4000 and 20000.",
    "请填写量程的两端，例如 4000 和 20000。",
)
RANGE_AND_SCALE = Entry(
    "E-CFG-068",
    "tag '{tag}' has {column} and a range (raw_low ...)",
    "点 '{tag}' 同时填写了 {column} 和量程（raw_low 等）",
    "Keep one of them: scale and offset, or the range.",
    "请只保留一种：scale、offset，或量程四列。",
)
BAD_NO_VALUE = Entry(
    "E-CFG-069",
    "'{found}' in column no_value is not a number that {type} can hold",
    "no_value 列的 '{found}' 不是 {type} 能表示的数",
    "{hint}{type} holds {span}. Several are written '65535;32768'.",
    "{hint}{type} 的范围：{span}。多个值写成 '65535;32768'。",
)
OPEN_QUOTE = Entry(
    "E-CFG-065",
    "the double quote of this cell is never closed",
    "此单元格的英文双引号没有闭合",
    "Add the closing double quote.",
    "请补上右边的英文双引号。",
)
BAD_LABEL = Entry(
    "E-CFG-100",
    "'{found}' in column labels is not 'NUMBER=meaning'",
    "labels 列的 '{found}' 不是“整数=含义”",
    "Write '0=stopped;1=running': whole numbers, '=' and ';' half-width, a meaning of at most {limit} "
    "characters.",
    "请写成 '0=停止;1=运行'：整数，半角 '=' 和 ';'，每个含义最多 {limit} 个字符。",
)
DUPLICATE_LABEL = Entry(
    "E-CFG-101",
    "{number} stands twice in column labels of tag '{tag}'",
    "点 '{tag}' 的 labels 列中 {number} 重复出现",
    "Keep one meaning for each number.",
    "每个数只保留一个含义。",
)
BAD_ENCODING = Entry(
    "E-CFG-102",
    "'{found}' is not a character encoding",
    "'{found}' 不是字符编码",
    "{hint}Write for example utf-8, gbk, latin-1, utf-16-le; empty means the device's own.",
    "{hint}例如 utf-8、gbk、latin-1、utf-16-le；留空表示设备自己的编码。",
)
BAD_BRACKETS = Entry(
    "E-CFG-103",
    "the brackets of type '{found}' cannot be used",
    "数据类型 '{found}' 的方括号写法有误",
    "Write uint16[10] for ten elements, string[20] for 20 characters, string[20][4] for four such strings; "
    "the number is 1 to {limit}.",
    "uint16[10] 表示 10 个元素，string[20] 表示 20 个字符，string[20][4] 表示 4 个这样的字符串；"
    "数字为 1 到 {limit}。",
)
NO_ARRAYS = Entry(
    "E-CFG-104",
    "driver '{driver}' has no arrays",
    "驱动 '{driver}' 不支持数组",
    "Write one line per value.",
    "请每个值写一行。",
)
ARRAY_PLACE = Entry(
    "E-CFG-105",
    "the {count} elements of array '{tag}' have no place there: {reason}",
    "数组 '{tag}' 的 {count} 个元素放不下：{reason}",
    "{cure}",
    "{cure}",
)
