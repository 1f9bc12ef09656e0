"""Frames of the standard's annexes and our own, confirmed against an independent implementation."""

from __future__ import annotations

MN = "010000A8900016F000169DC0"
_TIME = "DataTime=20260101080000;"

A_2017 = f"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN={MN};Flag=5;CP=&&RtdInterval=30&&"
A1_2025 = f"QN=20240601085857223;ST=32;CN=1011;PW=123456;MN={MN};Flag=9;CP=&&&&"
A2_2025_LONG = (
    f"QN=20240520210700000;ST=31;CN=2051;PW=123456;MN={MN};Flag=9;CP=&&DataTime=20240520210600;"
    "a01011-Min=1.35,a01011-Avg=1.35,a01011-Max=1.35,a01011-Flag=N;"
    "a01012-Min=9.3,a01012-Avg=9.3,a01012-Max=9.3,a01012-Flag=N;"
    "a01014-Min=3.20,a01014-Avg=3.211,a01014-Max=3.212,a01014-Flag=N&&"
)
A2_2025_SHORT = (
    f"QN=20240520210700000;ST=31;CN=2051;PW=123456;MN={MN};Flag=9;CP=&&DataTime=20240520210600;"
    "a01011-Min=1.35,a01011-Avg=1.35,a01011-Max=1.35,a01011-Flag=N;"
    "a01014-Min=3.20,a01014-Avg=3.20,a01014-Max=3.20,a01014-Flag=N&&"
)

OFFICIAL = [  # segment, length, CRC, what CRC-16/MODBUS would give
    (A_2017, 101, "1C80", "0759"),
    (A1_2025, 87, "2200", "CCF4"),
    (A2_2025_LONG, 295, "2200", "B649"),
    (A2_2025_SHORT, 234, "B541", "5103"),
    ("123456789", 9, "2F80", "4B37"),
]

OWN = [
    (
        f"##0201QN=20260101080000123;ST=31;CN=2011;PW=123456;MN={MN};Flag=5;CP=&&{_TIME}"
        "a34013-Rtd=12.3,a34013-Flag=N;a21026-Rtd=18.50,a21026-Flag=N;a21002-Rtd=42.1,a21002-Flag=N&&4040"
    ),
    f"##0087QN=20260101080000123;ST=91;CN=9014;PW=123456;MN={MN};Flag=4;CP=&&&&2BC0",
    (
        f"##0265QN=20260101081000001;ST=32;CN=2051;PW=123456;MN={MN};Flag=5;CP=&&{_TIME}"
        "w00000-Cou=10.5,w00000-Min=16.4,w00000-Avg=17.5,w00000-Max=20.1,w00000-Flag=N;"
        "w01018-Cou=0.4,w01018-Min=40.1,w01018-Avg=40.1,w01018-Max=40.1,w01018-Flag=N&&9AC1"
    ),
    (
        f"##0153QN=20260101090000534;ST=32;CN=2061;PW=123456;MN={MN};Flag=7;PNUM=2;PNO=1;CP=&&{_TIME}"
        "w00000-Avg=17.5,w00000-Flag=N&&2640"
    ),
    (
        f"##0153QN=20260101090000535;ST=32;CN=2061;PW=123456;MN={MN};Flag=7;PNUM=2;PNO=2;CP=&&{_TIME}"
        "w01018-Avg=40.1,w01018-Flag=N&&1040"
    ),
    f"##0112QN=20260101080000000;ST=32;CN=1012;PW=123456;MN={MN};Flag=5;CP=&&SystemTime=20260101080001&&C181",
    f"##0094QN=20260101080000000;ST=91;CN=9011;PW=123456;MN={MN};Flag=4;CP=&&QnRtn=1&&48C0",
    f"##0095QN=20260101080000000;ST=91;CN=9012;PW=123456;MN={MN};Flag=4;CP=&&ExeRtn=1&&5F00",
    (
        f"##0140QN=20260101080000123;ST=31;CN=2011;PW=123456;MN={MN};Flag=9;CP=&&{_TIME}"
        "a34013-Rtd=12.3,a34013-Flag=N&&5880"
    ),
    (
        f"##0145QN=20260101093000001;ST=31;CN=2011;PW=123456;MN={MN};Flag=9;RF=1;CP=&&{_TIME}"
        "a34013-Rtd=12.3,a34013-Flag=N&&3480"
    ),
    f"##0087QN=20260101080030000;ST=91;CN=9015;PW=123456;MN={MN};Flag=9;CP=&&&&CC01",
    f"##0087QN=20260101080030000;ST=91;CN=9013;PW=123456;MN={MN};Flag=8;CP=&&&&1100",
    (
        f"##0146QN=20260101080000000;ST=31;CN=3020;PW=123456;MN={MN};Flag=5;CP=&&{_TIME}"
        "PolId=a21026;i11001-Info=//维护//&&D801"
    ),
]

OFFICIAL_FRAMES = [f"##{size:04d}{text}{crc}" for text, size, crc, _ in OFFICIAL[:4]]
FRAMES = [frame.encode() + b"\r\n" for frame in [*OWN, *OFFICIAL_FRAMES]]

SAME_CRC = ("12.3", "17.2", "23.3", "26.2", "41.3", "44.2")
"""Values of a34013 which give the same frame the same CRC."""
