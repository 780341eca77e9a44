"""The worked example in the container's README."""

import json
import re
import shutil
from pathlib import Path

from tests.unit.container.opt_ml import PROGRAMS, OptMl
from tests.unit.container.serving_process import request, serving


def programs_with_the_example(folder: Path) -> Path:
    """Return a copy of the container's folder whose package ``model`` is the README's code."""
    shutil.copytree(PROGRAMS, folder, ignore=shutil.ignore_patterns("model"))
    readme = (PROGRAMS / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(code) == 1
    (folder / "model").mkdir()
    (folder / "model" / "__init__.py").write_text(code[0], encoding="utf-8")
    return folder


def test_the_readme_s_minimal_model_trains_and_serves(tmp_path: Path) -> None:
    """Replacing one file is enough to bring another model, and its errors reach the caller as well."""
    opt_ml = OptMl(tmp_path / "opt_ml", programs_with_the_example(tmp_path / "program")).channel("train")
    pairs = [[x / 10, 3 * x / 10 + 1] for x in range(20)]
    (opt_ml.base / "input" / "data" / "train" / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    process = opt_ml.start("train")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    with serving(opt_ml) as (_, port):
        status, body = request(port, "POST", "/invocations", b"[2.0]", "application/json")
        assert status == 200
        assert abs(json.loads(body)["predictions"][0]["y"] - 7) < 0.2
        assert request(port, "POST", "/invocations", b"[[", "application/json")[0] == 400
        assert request(port, "POST", "/invocations", b"2.0", "text/csv")[0] == 415
