"""Random lives of the stores with room for everything. Hypothesis prints the shortest that fails."""

from __future__ import annotations

import pytest

from tests.storage_model.examples import SETTINGS, TIMEOUT_S
from tests.storage_model.machine import StorageMachine


@pytest.mark.timeout(TIMEOUT_S)
class TestStorage(StorageMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = SETTINGS
