"""``Run.get_context()``: the job that the script runs in; what it logs goes to the prints."""

import os

from .absent import Placeholder
from .workspace import Experiment, Workspace


class Run(Placeholder):
    """The running job."""

    def __init__(self, experiment=None, run_id=None, **kwargs):
        self.id = run_id or os.environ.get("AZUREML_RUN_ID", "")
        self.experiment = experiment or Experiment(
            Workspace.from_config(), os.environ.get("AZUREML_EXPERIMENT_NAME", "")
        )
        self.input_datasets = {}
        self.output_datasets = {}
        self.tags = {}

    @classmethod
    def get_context(cls, allow_offline=True, used_for_context_manager=False, **kwargs):
        return cls()

    @property
    def parent(self):
        return Run(self.experiment, self.id)

    @property
    def run_id(self):
        return self.id

    def get_details(self):
        return {"runId": self.id}

    def log(self, name, value, description="", step=None):
        print("%s = %s" % (name, value))

    def log_list(self, name, value, description=""):
        print("%s = %s" % (name, value))

    def log_row(self, name, description=None, **columns):
        print("%s = %s" % (name, columns))

    def log_table(self, name, value, description=""):
        print("%s = %s" % (name, value))

    def tag(self, key, value=None):
        self.tags[key] = value

    def flush(self, timeout_seconds=300):
        pass

    def complete(self, _set_status=True):
        pass
