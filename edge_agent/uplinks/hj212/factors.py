"""Factor codes with their names, units and number formats, from Annex B of the 2017 edition. One table:
public code is known that has it shifted by one line. Codes that are not here can still be configured, with a
format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Factor:
    code: str
    name: str
    unit: str = ""
    format: str = ""  # empty: the configuration must give one


_WATER: Final = """
w00000 flow|L/s|N5.2
w01001 pH||N2.2
w01009 dissolved oxygen|mg/L|
w01010 temperature|°C|
w01012 suspended solids|mg/L|N4
w01014 conductivity|uS/cm|
w01018 COD|mg/L|N5.1
w01019 permanganate index||
w01020 TOC||
w20111 mercury|ug/L|
w20115 cadmium|ug/L|
w20116 chromium|mg/L|
w20117 hexavalent chromium||
w20119 arsenic||
w20120 lead||
w20121 nickel|mg/L|
w21001 total nitrogen|mg/L|N4.2
w21003 ammonia nitrogen|mg/L|N4.2
w21011 total phosphorus|mg/L|N3.2
w22001 oils|mg/L|N3.2
"""
_GAS: Final = """
a00000 flow|m3/s|N6.1
a01001 air temperature||
a01002 relative humidity||
a01006 pressure|kPa|N5.3
a01007 wind speed|m/s|
a01008 wind direction||
a01011 flue gas velocity|m/s|N5.2
a01012 flue gas temperature|°C|N3.1
a01013 flue gas pressure|kPa|N5.3
a01014 flue gas humidity|%|N3.1
a01015 chiller temperature||
a01016 duct area|m2|
a01017 dynamic pressure||
a01901 furnace mean temperature|°C|N4.1
a01902 furnace DCS temperature|°C|N4.1
a05001 CO2|mg/m3|
a05002 CH4||
a19001 O2|%|N3.1
a21001 NH3||
a21002 NOx|mg/m3|N5.1
a21003 NO||
a21004 NO2||
a21005 CO||
a21022 Cl2||
a21024 HCl||
a21026 SO2|mg/m3|N5.2
a21028 H2S||
a24088 NMHC|mg/m3|N7.3
a25002 benzene||
a25003 toluene||
a25005 xylene||
a34001 TSP||
a34002 PM10||
a34004 PM2.5||
a34013 particulates|mg/m3|N4
"""
_ENERGY: Final = """
i33200 current of the sewage station|A|
i33201 cumulative energy|kWh|N13
i33202 daily energy|kWh|N7
i33400 production load|%|
"""


def _read(table: str) -> dict[str, Factor]:
    found = {}
    for line in table.split("\n"):
        if line:
            code, _, rest = line.partition(" ")
            found[code] = Factor(code, *rest.split("|"))
    return found


FACTORS: Final = _read(_WATER + _GAS + _ENERGY)

TOTALS: Final = frozenset({"w00000", "a00000", "i33201", "i33202"})
"""Factors of the table whose own values can be summed up to a total, where they count a volume or an energy;
all others are concentrations, temperatures and the like."""

FORMATS_2025: Final = {"a34013": "N4.1", "a21002": "N4.2", "a01011": "N2.2", "a01013": "N2.3"}
"""Where the 2025 edition writes a factor otherwise (from transcriptions, not from its text)."""

OLD_CODES: Final = {
    "011": "w01018", "060": "w21003", "B01": "w00000", "01": "a34013", "02": "a21026", "03": "a21002",
    "S01": "a19001", "S02": "a01011", "S03": "a01012", "S05": "a01014", "S08": "a01013",
}  # fmt: skip
"""The three-digit codes of 2005, for peers that ask with them."""


def of_today(code: str) -> str:
    """The code that a peer means who asks with one of 2005."""
    return OLD_CODES.get(code, code)


def format_of(code: str, *, edition_2025: bool) -> str:
    """The standard's own format; empty when the table has none."""
    known = FACTORS.get(code)
    own = known.format if known else ""
    return FORMATS_2025.get(code, own) if edition_2025 else own
