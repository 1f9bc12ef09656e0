"""The same with a quota that is soon reached. In a file of its own, so that the two can run side by side."""

from __future__ import annotations

import pytest

from tests.storage_model.examples import SETTINGS, TIMEOUT_S
from tests.storage_model.machine import StorageMachine


class ScarceMachine(StorageMachine):
    quotas = (130_000, 110_000, 90_000)


@pytest.mark.timeout(TIMEOUT_S)
class TestQuota(ScarceMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = SETTINGS
