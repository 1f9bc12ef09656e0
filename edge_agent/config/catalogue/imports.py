"""Mistakes in workbooks, and what an import cannot take over."""

from edge_agent.config.catalogue.entry import Entry

NO_OPENPYXL = Entry(
    "E-CFG-160",
    "{name} is a workbook, and what reads workbooks is not installed",
    "{name} 是 Excel 工作簿，但未安装读取工作簿的组件",
    "Install it with: pip install 'lineside[xlsx]' (or Debian's python3-openpyxl); or save the table as "
    "'CSV UTF-8'.",
    "请安装：pip install 'lineside[xlsx]'（或 Debian 的 python3-openpyxl）；或把表格另存为“CSV UTF-8”。",
)
BAD_WORKBOOK = Entry(
    "E-CFG-161",
    "{name} cannot be read as a workbook: {reason}",
    "{name} 无法作为工作簿读取：{reason}",
    "Open it in Excel or WPS and save it as 'Excel workbook (*.xlsx)', without a password.",
    "请用 Excel 或 WPS 打开，另存为“Excel 工作簿(*.xlsx)”，不要设密码。",
)
BAD_CELL = Entry(
    "E-CFG-162",
    "the cell holds {what}, not text: {found}",
    "单元格内容是{what}，不是文字：{found}",
    "Format the cell as text and type what belongs there{guess}.",
    "请把单元格设为“文本”格式后重新输入{guess}。",
)
NO_RESULT = Entry(
    "E-CFG-163",
    "the cell holds a formula without a stored result: {found}",
    "单元格是公式，文件中没有保存计算结果：{found}",
    "Open the file in Excel or WPS and save it once, or paste the values in place of the formulas.",
    "请用 Excel 或 WPS 打开并保存一次，或用“选择性粘贴 - 数值”替换公式。",
)
MERGED = Entry(
    "E-CFG-164",
    "the cells {found} are merged: only the first of them holds the value",
    "单元格 {found} 已合并：只有第一个单元格有值",
    "Unmerge them and fill in every row.",
    "请取消合并，并逐行填写。",
)
W_HIDDEN = Entry(
    "W-CFG-165",
    "{count} hidden row(s) are read like the others, the first is row {row}",
    "有 {count} 个隐藏行，同样会被读取，第一个是第 {row} 行",
    "Show all rows (clear the filter); delete those that should not be tags.",
    "请取消隐藏（清除筛选）；不需要的点请删除该行。",
)
W_OTHER_SHEET = Entry(
    "W-CFG-166",
    "sheet '{sheet}' looks like a tag table too; only '{used}' is read",
    "工作表 '{sheet}' 也像点表，但只读取 '{used}'",
    "Put the tags of one device on one sheet; give another device a file of its own.",
    "一台设备的点请放在一个工作表中；其他设备请另建文件。",
)
NOT_AN_EXPORT = Entry(
    "E-CFG-170",
    "{name} is no tag table that can be read here: {reason}",
    "{name} 不是可识别的点表：{reason}",
    "Known are Kepware CSV, Neuron xlsx, Ignition JSON, TIA Portal xlsx, and Lineside's own CSV and xlsx; "
    "--from names one.",
    "可识别：Kepware CSV、Neuron xlsx、Ignition JSON、TIA 博途 xlsx，以及 Lineside 自己的 CSV 和 xlsx；"
    "可用 --from 指定。",
)
W_NOT_IMPORTED = Entry(
    "W-CFG-171",
    "'{name}' is not imported: {reason}",
    "'{name}' 未导入：{reason}",
    "{cure}",
    "{cure}",
)
W_LEFT_OUT = Entry(
    "W-CFG-172",
    "{what} of '{name}' is not taken over: {reason}",
    "'{name}' 的{what}未采用：{reason}",
    "{cure}",
    "{cure}",
)
W_RENAMED = Entry(
    "W-CFG-173",
    "'{found}' is called '{name}' here",
    "'{found}' 在此处改名为 '{name}'",
    "Names here consist of letters, digits, '_', '-' and '.'; windows and the park use the new one.",
    "此处的点名由文字、数字、'_'、'-'、'.' 组成；窗口与上传均使用新名称。",
)
W_NOTE = Entry(
    "W-CFG-174",
    "note: {what}",
    "提示：{what}",
    "{cure}",
    "{cure}",
)
