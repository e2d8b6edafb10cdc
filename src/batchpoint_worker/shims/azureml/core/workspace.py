"""``Workspace``: names without a service behind them."""

import os

from .absent import Placeholder


class Workspace(Placeholder):
    """The workspace of the job, by name only; what would ask the service says that there is none."""

    def __init__(self, subscription_id=None, resource_group=None, workspace_name=None, **kwargs):
        self.subscription_id = subscription_id or os.environ.get("AZUREML_ARM_SUBSCRIPTION", "")
        self.resource_group = resource_group or os.environ.get("AZUREML_ARM_RESOURCEGROUP", "")
        self.name = workspace_name or os.environ.get("AZUREML_ARM_WORKSPACE_NAME", "")

    @classmethod
    def from_config(cls, path=None, auth=None, **kwargs):
        return cls()

    @classmethod
    def get(cls, name, auth=None, subscription_id=None, resource_group=None, **kwargs):
        return cls(subscription_id, resource_group, name)
