import subprocess
import sys

SCRIPT = """
import structlog
from ops.log import configure
configure("tested", "info")
def fail(password):
    raise RuntimeError("it broke")
try:
    fail("a planted secret")
except RuntimeError:
    structlog.get_logger().exception("fault")
"""


def test_a_fault_is_logged_with_its_place_and_without_the_values_of_variables():
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stderr
    assert "it broke" in said
    assert '"name": "fail"' in said
    assert "a planted secret" not in said
