"""The body of an invoke request, in all its forms. The server resolves what it names."""

import math
from typing import Any

from batchpoint.arm.envelope import ids
from batchpoint.arm.envelope.reading import Body, build, duration_to_iso, enum_from_wire, enum_to_wire, without_none
from batchpoint.entities.data import Input, Invocation
from batchpoint.errors import NotSupported, Problem, ValidationFailed

_ALLOWED_INPUTS = "UriFileJobInput, UriFolderJobInput"


def to_json(invocation: Invocation) -> dict[str, Any]:
    """The request; ``deployment_name`` travels as a header, not here."""
    retry = without_none(
        {
            "maxRetries": invocation.max_retries,
            "timeout": None if invocation.timeout_s is None else duration_to_iso(invocation.timeout_s),
        }
    )
    properties = dict(invocation.properties)
    if invocation.experiment_name:
        properties["experimentName"] = invocation.experiment_name
    output = {"jobOutputType": "UriFolder", "uri": invocation.output_path}
    return {
        "properties": without_none(
            {
                "name": invocation.job_name,
                "inputData": _input_to_json(invocation.input) if invocation.input else None,
                "outputData": {"score": output} if invocation.output_path else None,
                "outputFileName": invocation.output_file_name,
                "miniBatchSize": invocation.mini_batch_size,
                "maxConcurrencyPerInstance": invocation.max_concurrency_per_instance,
                "errorThreshold": invocation.error_threshold,
                "loggingLevel": invocation.logging_level,
                "retrySettings": retry or None,
                "compute": {"instanceCount": invocation.instance_count} if invocation.instance_count else None,
                "isolateFailures": invocation.isolate_failures,
                "maxMiniBatchesPerWorker": invocation.max_mini_batches_per_worker,
                "provenance": invocation.provenance,
                "outputFormat": invocation.output_format,
                "split": invocation.split.model_dump(mode="json", exclude_none=True) if invocation.split else None,
                "chaos": invocation.chaos or None,
                "tags": invocation.tags or None,
                "properties": properties or None,
            }
        )
    }


def _input_to_json(given: Input) -> dict[str, Any]:
    kind = enum_to_wire(given.type)
    entry: dict[str, Any] = {"jobInputType": kind, "uri": given.path}
    if given.include or given.exclude:
        entry |= {"include": list(given.include), "exclude": list(given.exclude)}
    return {kind: entry}


def from_json(body: Body) -> Invocation:
    """Reads a request. An ``Input`` whose ``type`` was not said has it unset (``model_fields_set``)."""
    properties = body.child("properties")
    retry, extra = properties.child("retrySettings"), properties.mapping("properties")
    timeout = retry.duration("timeout") if retry.has("timeout") else properties.duration("timeout")
    experiment = next((extra.pop(key) for key in list(extra) if key.lower() == "experimentname"), None)
    folder, file_name = _output(properties)
    level = properties.text("loggingLevel")
    values = {
        "job_name": properties.text("name"),
        "experiment_name": experiment or properties.text("experimentName"),
        "input": _input(properties),
        "output_path": folder,
        "output_file_name": file_name,
        "mini_batch_size": properties.integer("miniBatchSize"),
        "instance_count": _instance_count(properties),
        "max_concurrency_per_instance": properties.integer("maxConcurrencyPerInstance"),
        "error_threshold": properties.integer("errorThreshold"),
        "logging_level": level.lower() if level else None,
        "max_retries": retry.integer("maxRetries") if retry.has("maxRetries") else properties.integer("maxRetries"),
        "timeout_s": None if timeout is None else math.ceil(timeout),
        "isolate_failures": properties.boolean("isolateFailures"),
        "max_mini_batches_per_worker": properties.integer("maxMiniBatchesPerWorker"),
        "provenance": properties.boolean("provenance"),
        "output_format": properties.text("outputFormat"),
        "split": properties.mapping("split") or None,
        "chaos": properties.mapping("chaos"),
        "tags": properties.texts("tags"),
        "properties": extra,
    }
    return build(Invocation, values)


def _instance_count(properties: Body) -> int | None:
    """``compute.instanceCount``, or ``ComputeInstanceCount`` as pipelines of data factories say. Never ``isLocal``."""
    count = properties.child("compute").integer("instanceCount")
    return count if count is not None else properties.integer("computeInstanceCount")


def _input(properties: Body) -> Input | None:
    inputs = properties.children("inputData")
    if not inputs:
        return _old_input(properties.child("dataset")) if properties.has("dataset") else None
    if len(inputs) > 1:
        raise _wrong("properties.inputData", f"A model deployment takes one input; these are {len(inputs)}.")
    entry = next(iter(inputs.values()))
    kind = enum_from_wire(entry.text("jobInputType"))
    if kind in {"mltable", "ml_table"}:
        raise NotSupported("Inputs of type MLTable are not offered; give a file or a folder.", target=entry.path)
    if kind not in {None, "uri_file", "uri_folder"}:
        message = f"{entry.text('jobInputType')} is no input of a model deployment; supported are {_ALLOWED_INPUTS}."
        raise _wrong(entry.at("jobInputType"), message)
    uri = entry.text("uri")
    if not uri:
        raise _wrong(entry.at("uri"), "Say where the input is: a datastore path, a URL or a data asset.")
    globs = {"include": entry.items("include") or None, "exclude": entry.items("exclude") or None}
    return build(Input, {"path": uri, "type": kind, **globs})


def _old_input(dataset: Body) -> Input:
    """The forms of 2021: ``DataUrl``, ``DatasetVersion``, ``DatasetId``."""
    kind = (dataset.text("dataInputType") or "").lower()
    if kind == "datasetversion":
        path = f"azureml:{dataset.text('datasetName')}:{dataset.text('datasetVersion')}"
    elif kind == "datasetid":
        path = dataset.text("datasetId") or ""
    elif kind == "dataurl":
        path = dataset.text("path") or ""
    else:
        raise _wrong(dataset.at("dataInputType"), "must be DataUrl, DatasetVersion or DatasetId.")
    if not path:
        raise _wrong(dataset.path, "Say where the input is.")
    return build(Input, {"path": path})


def _output(properties: Body) -> tuple[str | None, str | None]:
    """Folder and file name. A ``UriFile`` names the file itself; a folder goes with ``outputFileName``."""
    file_name = properties.text("outputFileName")
    outputs = properties.children("outputData")
    if len(outputs) > 1:
        raise _wrong("properties.outputData", f"A model deployment has one output; these are {len(outputs)}.")
    for entry in outputs.values():
        uri = entry.text("uri")
        if uri and enum_from_wire(entry.text("jobOutputType")) == "uri_file" and not uri.endswith("/"):
            folder, _, last = uri.rpartition("/")
            return folder + "/", last
        return uri, file_name
    old = properties.child("outputDataset")
    if not old.has("datastoreId"):
        return (old.text("path"), file_name)
    store = ids.last_segment(old.text("datastoreId") or "")
    return f"azureml://datastores/{store}/paths/{(old.text('path') or '').strip('/')}/", file_name


def _wrong(key: str, message: str) -> ValidationFailed:
    return ValidationFailed("invocation", (Problem(key, message),))
