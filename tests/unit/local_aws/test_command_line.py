"""Options of ``python -m local_aws``."""

from __future__ import annotations

import pytest

from local_aws.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "70000 is no TCP port; give 0 to 65535"),
        (["--port", "http"], "invalid"),
        (["--stop-grace-seconds", "-1"], "-1 is no number of seconds; give 0 or more"),
        (["--stop-grace-seconds", "nan"], "nan is no number of seconds"),
        (["--engine", "magic"], "invalid choice: 'magic'"),
        (["--registry", "localhost"], "'localhost' is no address of a registry; give host:port"),
        (["--registry-from-here", "registry"], "'registry' is no address of a registry; give host:port"),
    ],
)
def test_a_wrong_option_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Usage errors have exit code 2 and say what is allowed."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_how_to_point_a_client_at_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The help stands on its own."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:4566" in capsys.readouterr().out
