"""``Model``: where the deployment's model lies, whatever name is asked for."""

import os

from .absent import Placeholder


class Model(Placeholder):
    """The model of the deployment."""

    def __init__(self, workspace=None, name=None, id=None, version=None, **kwargs):  # noqa: A002
        told_name, _, told_version = str(id or "").partition(":")
        self.workspace = workspace
        self.name = name or told_name
        self.version = int(version or told_version or 1)
        self.id = "%s:%d" % (self.name, self.version)
        self.tags = {}
        self.properties = {}
        self.description = ""

    @staticmethod
    def get_model_path(model_name, version=None, _workspace=None):
        """The path under AZUREML_MODEL_DIR: the entry called ``model_name``, else the only one, else the folder."""
        folder = os.environ.get("AZUREML_MODEL_DIR", "")
        if not os.path.isdir(folder):
            raise FileNotFoundError("no model %r: the deployment has no model (AZUREML_MODEL_DIR)" % (model_name,))
        entries = sorted(os.listdir(folder))
        if str(model_name) in entries:
            return os.path.join(folder, str(model_name))
        return os.path.join(folder, entries[0]) if len(entries) == 1 else folder

    def download(self, target_dir=".", exist_ok=False, exists_ok=None):
        """A link in ``target_dir`` to the model, which is on this machine already; its path."""
        path = self.get_model_path(self.name)
        link = os.path.join(target_dir, os.path.basename(path))
        os.makedirs(target_dir, exist_ok=True)
        try:
            os.symlink(path, link)
        except FileExistsError:
            if not (exist_ok or exists_ok):
                raise
        return link
