"""``EntryScript``: the logger and the folders that a scoring script may ask for."""

import logging
import os

_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}


class EntryScript:
    """One object per process; everything in it is made when first asked for."""

    _only = None

    def __new__(cls):
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    @property
    def agent_name(self):
        """``processNNN``: this worker."""
        return os.environ.get("BATCHPOINT_AGENT_NAME", "process000")

    @property
    def log_dir(self):
        """``logs/user/entry_script_log/<node>`` of the job."""
        folder = os.environ.get("BATCHPOINT_ENTRY_LOG") or os.getcwd()
        os.makedirs(folder, exist_ok=True)
        return folder

    @property
    def output_dir(self):
        """Where files that the script writes become output."""
        return os.environ.get("AZUREML_BI_OUTPUT_PATH") or os.environ.get("BATCHPOINT_SCRATCH") or os.getcwd()

    @property
    def working_dir(self):
        """The directory that the worker was started in."""
        return os.environ.get("BATCHPOINT_WORKING_DIR") or os.getcwd()

    @property
    def logger(self):
        """Writes to ``<log_dir>/<agent_name>.log.txt`` at the deployment's logging level."""
        logger = logging.getLogger("EntryScript")
        if not logger.handlers:
            path = os.path.join(self.log_dir, self.agent_name + ".log.txt")
            handler = logging.FileHandler(path, encoding="utf-8", delay=True)
            handler.setFormatter(logging.Formatter("%(asctime)s|%(levelname)s|%(process)d|%(message)s"))
            logger.addHandler(handler)
            level = os.environ.get("BATCHPOINT_LOGGING_LEVEL", "info").upper()
            logger.setLevel(_LEVELS.get(level, logging.INFO))
            logger.propagate = False
        return logger
