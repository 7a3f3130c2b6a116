"""What importing the package costs."""

import subprocess
import sys


def test_scipy_is_loaded_by_a_fit_and_not_before():
    program = (
        "import sys; from focalloop.calibration import Calibration, Level, Readings, Settings; "
        "assert 'scipy' not in sys.modules; "
        "from focalloop.calibration import calibrate; assert 'scipy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
