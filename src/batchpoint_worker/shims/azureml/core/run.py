"""``Run.get_context()``: the job that the script runs in; what it logs goes to the prints."""

import os
import uuid

from .absent import Placeholder
from .experiment import Experiment
from .workspace import Workspace


class Inputs(dict):
    """The named inputs of a step: a batch endpoint has none."""

    def __missing__(self, name):
        raise KeyError("no input %r: a batch endpoint hands its files to run(mini_batch)" % (name,))


class Run(Placeholder):
    """The running job, as far as this process knows it."""

    def __init__(self, experiment=None, run_id=None, outputs=None, **kwargs):
        self.id = run_id or os.environ.get("AZUREML_RUN_ID", "")
        self.experiment = experiment or Experiment(
            Workspace.from_config(), os.environ.get("AZUREML_EXPERIMENT_NAME", "")
        )
        self.input_datasets = Inputs()
        self.output_datasets = Inputs()
        self.tags = {}
        self.properties = {}
        self._metrics = {}

    _context = None

    @classmethod
    def get_context(cls, allow_offline=True, used_for_context_manager=False, **kwargs):
        """The same object each time; outside of a job an offline run."""
        if Run._context is None:
            if not os.environ.get("AZUREML_RUN_ID") and not allow_offline:
                raise RuntimeError("there is no job around this script: AZUREML_RUN_ID is not set")
            Run._context = Run() if os.environ.get("AZUREML_RUN_ID") else _OfflineRun()
        return Run._context

    @property
    def run_id(self):
        return self.id

    @property
    def name(self):
        return self.id

    display_name = name

    @property
    def parent(self):
        """The pipeline job around the step: the same job here."""
        return Run(self.experiment, self.id)

    def get_details(self):
        return {"runId": self.id, "status": self.get_status(), "properties": self.properties}

    def get_status(self):
        return "Running"

    def get_children(self, **kwargs):
        return iter(())

    # ---- what is logged -------------------------------------------------------------------------------------------

    def _log(self, name, value):
        print("%s = %s" % (name, value))
        if name in self._metrics:
            known = self._metrics[name]
            value = (known if isinstance(known, list) else [known]) + (value if isinstance(value, list) else [value])
        self._metrics[name] = value

    def log(self, name, value, description="", step=None):
        self._log(name, value)

    def log_list(self, name, value, description="", step=None):
        self._log(name, list(value))

    def log_row(self, name, description=None, **columns):
        self._log(name, columns)

    def log_table(self, name, value, description=""):
        self._log(name, value)

    def log_predictions(self, name, value, description=""):
        self._log(name, value)

    def log_residuals(self, name, value, description=""):
        self._log(name, value)

    def log_accuracy_table(self, name, value, description=""):
        self._log(name, value)

    def log_confusion_matrix(self, name, value, description=""):
        self._log(name, value)

    def log_image(self, name, path=None, plot=None, description=""):
        self._log(name, path or "a plot")

    def get_metrics(self, name=None, **kwargs):
        """What this process has logged."""
        return dict(self._metrics) if name is None else {key: v for key, v in self._metrics.items() if key == name}

    # ---- what is set ----------------------------------------------------------------------------------------------

    def tag(self, key, value=None):
        self.tags[key] = value

    def set_tags(self, tags):
        self.tags.update(tags)

    def get_tags(self):
        return dict(self.tags)

    def add_properties(self, properties):
        self.properties.update(properties)

    def get_properties(self):
        return dict(self.properties)

    def flush(self, timeout_seconds=300):
        pass

    def complete(self, _set_status=True):
        pass


class _OfflineRun(Run):
    """What ``Run.get_context()`` is where no job runs the script."""

    def __init__(self, **kwargs):
        super().__init__(run_id="OfflineRun_%s" % uuid.uuid4())
