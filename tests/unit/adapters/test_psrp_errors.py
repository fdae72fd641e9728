# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp_errors import translate
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp_settings import HostConnectionSettings

PASSWORD = "пароль"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_text_of_an_unknown_error_is_not_told(encoding: str) -> None:
    settings = HostConnectionSettings(name="hv-a", address="localhost", user="repl", password=PASSWORD, auth="basic")
    with pytest.raises(UnicodeEncodeError) as caught:
        PASSWORD.encode(encoding)
    error = translate(caught.value, settings)
    assert error.reason == "psrp"
    assert "UnicodeEncodeError" in error.message
    assert not set(PASSWORD) & set(str(error.as_dict()))
    assert "\\u" not in error.message
