"""Names of credentials that scripts hand to ``Workspace``; the stand-in of that needs none."""

from .absent import Placeholder


class ServicePrincipalAuthentication(Placeholder):
    """Imports; is never used."""


class MsiAuthentication(Placeholder):
    """Imports; is never used."""


class InteractiveLoginAuthentication(Placeholder):
    """Imports; is never used."""


class AzureCliAuthentication(Placeholder):
    """Imports; is never used."""
