from audit.management.base import SafetyCommand  # noqa: F401
