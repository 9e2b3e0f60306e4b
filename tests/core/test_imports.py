"""The floor stands alone."""

import subprocess
import sys
from pathlib import Path

import gmr.core


def test_no_module_of_the_core_loads_torch_or_transformers():
    folder = Path(gmr.core.__file__).parent
    modules = [f"gmr.core.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    assert "gmr.core.images" in modules
    program = (
        f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
