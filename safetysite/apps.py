from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class SiteConfig(AppConfig):
    name = "safetysite"
    verbose_name = "Site"


class SafetyAdminConfig(AdminConfig):
    """Makes our site the one that ``admin.site`` and ``admin.register`` mean, everywhere."""

    default_site = "safetysite.site.SafetyAdminSite"
