# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the mount tests, and the size of a run."""

import importlib.util
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib"), str(HERE.parent / "mount")]
_spec = importlib.util.spec_from_file_location("mount_fixtures", HERE.parent / "mount/conftest.py")
_module = importlib.util.module_from_spec(_spec)
sys.modules["mount_fixtures"] = _module
_spec.loader.exec_module(_module)
pytest_plugins = ["mount_fixtures"]


def pytest_addoption(parser):
    parser.addoption("--steps", type=int, default=10000, help="steps of the model test in all")
    parser.addoption("--seed", type=int, default=0, help="0: another one each time")
    parser.addoption("--shrink", type=float, default=60, help="seconds to shorten a failure")
