from azureml_user.parallel_run import EntryScript

import sin


def init():
    EntryScript().logger.info("init called")
    EntryScript().logger.debug("not at this level")


def run(mini_batch):
    entry = EntryScript()
    assert entry is EntryScript()
    entry.logger.warning("scored %d", len(mini_batch))
    return [entry.agent_name, entry.log_dir, entry.output_dir, entry.working_dir]
