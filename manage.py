#!/usr/bin/env python
"""The commands of the AI Safety Monitor."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "safetysite.settings")
    from safetysite.database import take_database_url

    # Settings read the database's address when they are imported, so it is taken off the line before that.
    take_database_url(sys.argv, os.environ)
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"The site is not configured rightly: {error}")


if __name__ == "__main__":
    main()
