"""An even light in front of an emulated sensor, for calibrations."""

import numpy as np


class Lamp:
    """A scene of one brightness, dark at first.

    Attributes
    ----------
    level : float
        Brightness, 0 to 1.
    """

    slots, level = 16, 0.0

    def __init__(self, shape):
        self.shape = shape

    def window(self, index):
        return np.full((16, *self.shape), round(255 * self.level), np.uint8)

    def close(self):
        pass
