"""The workspace: whose resources are meant. It is a path, which every part of the product passes on.

What is kept about a workspace is ``entities.workspace_record``.
"""

from dataclasses import dataclass

PROVIDER = "Microsoft.MachineLearningServices"


@dataclass(frozen=True)
class Workspace:
    """Subscription, resource group and workspace, in the spelling that the user chose."""

    subscription: str
    resource_group: str
    name: str

    @classmethod
    def of_id(cls, arm_id: str | None) -> "Workspace | None":
        """The workspace that an id lies in, in the spelling of the id; None where it names none."""
        parts = (arm_id or "").split("/")
        return cls(parts[2], parts[4], parts[8]) if len(parts) > 8 else None

    @property
    def key(self) -> str:
        """What the store files resources under; spelling does not matter."""
        return f"{self.subscription}/{self.resource_group}/{self.name}".lower()

    @property
    def is_default(self) -> bool:
        """True for the workspace that every subscription has without anybody creating it."""
        return (self.resource_group.lower(), self.name.lower()) == ("default", "default")

    @property
    def arm_id(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/{PROVIDER}/workspaces/{self.name}"
        )
