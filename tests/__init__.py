"""All tests, and what they need."""

from tests import coverage_measurement

coverage_measurement.start()
