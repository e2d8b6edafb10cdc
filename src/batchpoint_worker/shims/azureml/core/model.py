"""``Model.get_model_path``: where the deployment's model lies."""

import os

from .absent import Placeholder


class Model(Placeholder):
    """The model of the deployment, whatever name is asked for."""

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
