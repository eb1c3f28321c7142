"""The gate at the raw boundary: Great Expectations suites built from the contracts."""

from orchestration.quality.gate import CheckResult, validate, write_data_docs
from orchestration.quality.suites import CheckSpec, check_specs

__all__ = ["CheckResult", "CheckSpec", "check_specs", "validate", "write_data_docs"]
